//! A session, and statements sent one after another without waiting for each answer.

use crate::StoreError;
use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

/// A parameter.
pub(super) type Param = Box<dyn ToSql + Sync + Send>;

/// One statement with its parameters.
pub(super) struct Call {
    sql: String,
    params: Vec<Param>,
}

impl Call {
    pub(super) fn new(sql: impl Into<String>, params: Vec<Param>) -> Call {
        Call { sql: sql.into(), params }
    }
}

/// A connection, with what was prepared on it.
pub(super) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    prepared: HashMap<String, Statement>,
    is_given_up: Cell<bool>,
}

impl Session {
    pub(super) fn new(client: Client, connection: JoinHandle<()>) -> Session {
        Session { client, connection, prepared: HashMap::new(), is_given_up: Cell::default() }
    }

    pub(super) fn is_closed(&self) -> bool {
        // The connection's end is seen only when it runs, which it does within a call.
        self.is_given_up.get() || self.client.is_closed() || self.connection.is_finished()
    }

    /// Asks whether it is there; one that is not is given up.
    pub(super) async fn is_open(&self) -> bool {
        let is_open = !self.is_closed() && self.client.batch_execute("").await.is_ok();
        if !is_open {
            self.give_up();
        }
        is_open
    }

    /// Closes the connection, whatever is under way on it.
    pub(super) fn give_up(&self) {
        self.is_given_up.set(true);
        self.connection.abort();
    }

    /// Statements without parameters, one after another.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).await.map_err(|error| failure(&error))
    }

    pub(super) async fn roll_back(&self) {
        if self.client.batch_execute("ROLLBACK").await.is_err() {
            self.give_up();
        }
    }

    pub(super) async fn call(&mut self, call: Call) -> Result<Vec<Row>, StoreError> {
        let answers = self.pipeline(vec![call]).await.map_err(|(_, error)| failure(&error))?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    /// Sends all calls, then takes their answers. An error comes with the place of the call that failed first.
    pub(super) async fn pipeline(&mut self, calls: Vec<Call>) -> Result<Vec<Vec<Row>>, (usize, Error)> {
        for (at, call) in calls.iter().enumerate() {
            // Preparing waits for its answer, so it must not come between the calls.
            if !self.prepared.contains_key(&call.sql) {
                let statement = self.client.prepare(&call.sql).await.map_err(|error| (at, error))?;
                self.prepared.insert(call.sql.clone(), statement);
            }
        }
        let mut running: Vec<_> = calls.iter().map(|call| self.start(call)).collect();
        let mut answers = Vec::with_capacity(running.len());
        for call in &mut running {
            // A call is sent when its future is polled first.
            answers.push(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await);
        }
        let mut rows = Vec::with_capacity(running.len());
        for (at, (call, answer)) in running.into_iter().zip(answers).enumerate() {
            let answer = match answer {
                Poll::Ready(answer) => answer,
                Poll::Pending => call.await,
            };
            rows.push(answer.map_err(|error| (at, error))?);
        }
        Ok(rows)
    }

    fn start<'a>(&'a self, call: &'a Call) -> Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + 'a>> {
        let params: Vec<&(dyn ToSql + Sync)> =
            call.params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
        Box::pin(async move {
            match self.prepared.get(&call.sql) {
                Some(statement) => self.client.query(statement, &params).await,
                None => self.client.query(&call.sql, &params).await,
            }
        })
    }
}

/// What PostgreSQL said, as what it means when nothing was committed.
pub(super) fn failure(error: &Error) -> StoreError {
    match error.as_db_error() {
        // Class XX: internal error, corrupted data, corrupted index.
        Some(told) if told.code().code().starts_with("XX") => StoreError::Corrupt(told.to_string()),
        Some(told) => StoreError::StoreUnavailable(told.to_string()),
        None => StoreError::StoreUnavailable(super::told_by(error)),
    }
}
