//! Clients that do not give up: who is thrown out logs in again, and a request without an answer is sent again with its id.

use super::books::{Account, Books, Gift, is_passing};
use super::cluster::Cluster;
use chappe_wire::{NodeId, Value, value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a client waits for an answer before it asks again.
const ANSWER: Duration = Duration::from_millis(1500);
/// Between two looks at what was told.
const LOOK: Duration = Duration::from_millis(15);

/// The clients of a run, and what they have asked for.
pub struct Customers {
    cluster: Rc<Cluster>,
    homes: RefCell<BTreeMap<u64, NodeId>>,
    entering: RefCell<BTreeSet<u64>>,
    gifts: RefCell<Vec<Gift>>,
    start: RefCell<BTreeMap<u64, Account>>,
    last: Cell<u64>,
}

impl Customers {
    /// Each with the game server where they play.
    pub fn new(cluster: &Rc<Cluster>, homes: &[(u64, NodeId)]) -> Rc<Customers> {
        Rc::new(Customers {
            cluster: cluster.clone(),
            homes: RefCell::new(homes.iter().copied().collect()),
            entering: RefCell::default(),
            gifts: RefCell::default(),
            start: RefCell::default(),
            last: Cell::new(0),
        })
    }

    /// From now on a player plays there.
    pub fn settle_at(&self, uid: u64, server: NodeId) {
        self.homes.borrow_mut().insert(uid, server);
    }

    /// Logs a player in unless they are, however long that takes.
    pub async fn online(&self, uid: u64) {
        let till = self.cluster.till();
        while !till.is_online(uid) {
            if !self.entering.borrow_mut().insert(uid) {
                sleep(LOOK).await;
                continue;
            }
            let home = self.homes.borrow().get(&uid).copied();
            let entered = till.log_in(uid, home).await;
            self.entering.borrow_mut().remove(&uid);
            if entered.is_err() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Keeps a player online from now on.
    pub fn keep_online(self: &Rc<Self>, uid: u64) {
        let this = self.clone();
        tokio::task::spawn_local(async move {
            loop {
                this.online(uid).await;
                sleep(Duration::from_millis(100)).await;
            }
        });
    }

    /// Notes what players have before it begins.
    pub async fn begin(&self) {
        let uids: Vec<u64> = self.homes.borrow().keys().copied().collect();
        for uid in uids {
            let account = self.cluster.account(uid).await;
            self.start.borrow_mut().extend(account.map(|account| (uid, account)));
        }
    }

    /// Gives money, and asks until there is an answer; its code.
    pub async fn give(&self, from: u64, to: u64) -> String {
        let id = self.next_id(from);
        self.gifts.borrow_mut().push(Gift { from, to, id: Some(id.clone()) });
        let answer = self.ask(from, "user.giveMoney", vec![("id".into(), to.into())], id).await;
        answer.field("errorCode").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Asks once for money to be given, and waits a while for the answer.
    pub async fn give_once(&self, from: u64, to: u64) {
        self.gifts.borrow_mut().push(Gift { from, to, id: None });
        let seen = self.cluster.told.borrow().len();
        self.cluster.till().request(from, value!({"_type": "user.giveMoney", "id": to}));
        let _ = timeout(ANSWER, self.answer(from, "user.giveMoney", None, seen)).await;
    }

    /// What a player has, as their server says.
    pub async fn balance(&self, uid: u64) -> Option<Account> {
        let id = self.next_id(uid);
        Account::of(&self.ask(uid, "user.balance", Vec::new(), id).await)
    }

    /// Sends a request until it has an answer that stands.
    pub async fn ask(&self, uid: u64, kind: &str, fields: Vec<(Value, Value)>, id: String) -> Value {
        let mut request = vec![("_type".into(), kind.into()), ("_request".into(), id.as_str().into())];
        request.extend(fields);
        let request = Value::Map(request);
        for tries in 1u32.. {
            self.online(uid).await;
            let seen = self.cluster.told.borrow().len();
            self.cluster.till().request(uid, request.clone());
            match timeout(ANSWER, self.answer(uid, kind, Some(&id), seen)).await {
                Ok(answer) if !answer.field("errorCode").and_then(Value::as_str).is_some_and(is_passing) => {
                    return answer;
                }
                Ok(_) => sleep(Duration::from_millis(50)).await,
                // Perhaps the session is to blame.
                Err(_) if tries.is_multiple_of(4) => self.cluster.till().log_out(uid).await,
                Err(_) => {}
            }
        }
        Value::Nil
    }

    /// What has happened, for the oracle. To be called when all is quiet.
    pub async fn books(&self) -> Books {
        let uids: Vec<u64> = self.homes.borrow().keys().copied().collect();
        let mut books = Books {
            start: self.start.borrow().clone(),
            gifts: self.gifts.borrow().clone(),
            told: self.cluster.told.borrow().clone(),
            ..Books::default()
        };
        for uid in uids {
            books.end.extend(self.cluster.account(uid).await.map(|account| (uid, account)));
            books.durable.insert(uid, self.cluster.accounts(uid).await);
        }
        books
    }

    async fn answer(&self, uid: u64, kind: &str, id: Option<&str>, from: usize) -> Value {
        let mut seen = from;
        loop {
            {
                let told = self.cluster.told.borrow();
                let is_its = |(to, fields): &&(u64, Value)| {
                    *to == uid
                        && fields.field("_type").and_then(Value::as_str) == Some(kind)
                        && fields.field("_request").and_then(Value::as_str) == id
                };
                if let Some((_, answer)) = told[seen..].iter().find(is_its) {
                    return answer.clone();
                }
                seen = told.len();
            }
            sleep(LOOK).await;
        }
    }

    fn next_id(&self, uid: u64) -> String {
        self.last.set(self.last.get() + 1);
        format!("{uid}-{}", self.last.get())
    }
}
