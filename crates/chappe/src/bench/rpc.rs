//! Requests with an answer each, a fixed number under way: as many tasks as that, each of which awaits its own.

use super::cluster::{MODULE, with_peers};
use super::measure::{Figure, Tally, Window, meter};
use super::python::steps;
use super::{BenchResult, HandlerArgs, Programs};
use chappe_node::{Node, To};
use chappe_wire::Row;
use serde_bytes::{ByteBuf, Bytes};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A time-out that is never reached on a machine that works.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn run(with: &Programs, args: &HandlerArgs) -> BenchResult<Figure> {
    let HandlerArgs { work: args, python } = args.clone();
    with_peers(with, args.link, 1, python, async move |node: Node, pids| {
        let window = args.window();
        let cpu = meter(window, pids);
        let tally = Rc::new(RefCell::new(Tally::new(window)?));
        let callers: Vec<_> = (0..args.in_flight)
            .map(|_| {
                tokio::task::spawn_local(caller(node.clone(), vec![b'x'; args.size], window, tally.clone()))
            })
            .collect();
        for caller in callers {
            caller.await?;
        }
        let used = cpu.join().map_err(|_| "the meter failed")?;
        let mut figure = tally.borrow().figure("rpc", &args, &used);
        if python {
            figure.steps_us = steps(&node, figure.kind, args.size).await?;
        }
        Ok(figure)
    })
}

async fn caller(node: Node, payload: Vec<u8>, window: Window, tally: Rc<RefCell<Tally>>) {
    let mut sent_at = Instant::now();
    while !window.is_over(sent_at) {
        let data = Bytes::new(&payload);
        let answer: Result<ByteBuf, _> =
            node.ask(Row::RequestToServiceMod, To::Module, (MODULE, "echo"), data, TIMEOUT).await;
        let now = Instant::now();
        match answer {
            Ok(data) if data.len() == payload.len() => tally.borrow_mut().answered(sent_at, now),
            _ => tally.borrow_mut().lost += 1,
        }
        sent_at = now;
    }
}
