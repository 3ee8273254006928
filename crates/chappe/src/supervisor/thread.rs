//! A node as a thread of this process.

use super::door::Door;
use super::{End, Order, Output};
use crate::app::App;
use crate::links::Hosts;
use crate::node_process::Life;
use crate::{logging, node_process};
use chappe_deploy::{Deploy, NodeEntry};
use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_link::memory::MemoryLink;
use chappe_wire::Role;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// The nodes of one cluster in one process: each on a thread of its own, connected through memory.
pub(crate) struct Threads {
    app: App,
    deploy: Arc<Deploy>,
    memory: MemoryLink,
    local: LocalLink,
}

impl Threads {
    /// For the nodes of `deploy`, which do what `app` says.
    pub(crate) fn new(app: App, deploy: Arc<Deploy>) -> Threads {
        let local = LocalLink::new(deploy.run_dir());
        Threads { app, deploy, memory: MemoryLink::new(), local }
    }

    /// Runs one life of a node. A thread cannot be killed: [`Order::Kill`] leaves it behind, for the process's end.
    pub(super) async fn run(
        &self,
        entry: &NodeEntry,
        mut orders: watch::Receiver<Order>,
        output: &Output,
        on_ready: &dyn Fn(),
    ) -> End {
        let (stop, asked) = watch::channel(false);
        let (ready, is_ready) = oneshot::channel();
        let (ended, mut end) = oneshot::channel();
        let (app, deploy, entry) = (self.app.clone(), self.deploy.clone(), entry.clone());
        let (link, prefix) = (self.link_of(&entry), output.prefix(entry.id));
        let live = move || {
            logging::set_prefix(prefix);
            let on_ready = move || {
                // Nobody waits any more when the node is to be killed.
                let _ = ready.send(());
            };
            let life = Life { link, hosts: Hosts::default(), stop: asked };
            let _ = ended.send(node_process::run(&app, &deploy, &entry, life, on_ready));
        };
        let thread = std::thread::Builder::new().name("chappe-node".into()).spawn(live);
        if let Err(error) = thread {
            return End::NotStarted(error.to_string());
        }
        let mut is_ready = std::pin::pin!(is_ready);
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut end => return match ended {
                    Ok(Ok(())) => End::Exit(0, None),
                    Ok(Err(error)) => End::Exit(error.code(), Some(error.to_string())),
                    Err(_) => End::Killed("its thread panicked".to_owned()),
                },
                _ = orders.changed() => match *orders.borrow_and_update() {
                    Order::Run => {}
                    Order::Leave => drop(stop.send(true)),
                    Order::Kill => return End::Killed("left behind".to_owned()),
                },
                ready = &mut is_ready, if !told => {
                    told = true;
                    if ready.is_ok() {
                        on_ready();
                    }
                }
            }
        }
    }

    fn link_of(&self, entry: &NodeEntry) -> Arc<dyn Link + Send + Sync> {
        match entry.role {
            Role::Master => Arc::new(Door::new(self.memory.clone(), self.local.clone())),
            _ => Arc::new(self.memory.clone()),
        }
    }
}
