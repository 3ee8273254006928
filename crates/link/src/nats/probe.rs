//! What a node would be refused, found before it starts: for `chappe check`.

use super::claim::{GROUP, ask_name};
use super::hub::Hub;
use super::message::{Head, Kind};
use crate::ListenError;
use chappe_wire::NodeId;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// NATS, as it looks from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The version of the server that answered.
    pub version: String,
    /// The most bytes in one message.
    pub max_payload: usize,
    /// To the server and back.
    pub round_trip: Duration,
}

pub(super) async fn probe(hub: &Arc<Hub>, me: Option<NodeId>, to: &[NodeId]) -> Result<Probed, ListenError> {
    let place = hub.options.places();
    let failed = |source| ListenError::Io { place: place.clone(), source };
    let client = hub.connected().await.map_err(failed)?;
    let may = async {
        let mut heard = Vec::new();
        if let Some(me) = me {
            heard.push(client.subscribe(hub.subjects.node(me)).await.map_err(io::Error::other)?);
            let answering = client.queue_subscribe(hub.subjects.who(), GROUP.to_owned()).await;
            heard.push(answering.map_err(io::Error::other)?);
        }
        // Read and dropped wherever it arrives: a kind that does not belong there.
        let nothing = Head::new(Kind::Ack, 0, 0).with(&[]);
        for to in to {
            client.publish(hub.subjects.dial(*to), nothing.clone()).await.map_err(io::Error::other)?;
        }
        for mut subscriber in heard {
            subscriber.unsubscribe().await.map_err(io::Error::other)?;
        }
        // What was forbidden has been said by the time that this comes back.
        hub.echo().await
    };
    hub.unless_refused(may).await.map_err(failed)?;
    if me.is_some() {
        ask_name(hub, &client).await?;
    }
    let server = client.server_info();
    Ok(Probed {
        version: server.version,
        max_payload: server.max_payload,
        round_trip: Duration::from_micros(hub.counters.round_trip_us.load(Ordering::Relaxed)),
    })
}
