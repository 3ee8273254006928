//! What no entry can tell alone: ids and ports that two of them want.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use crate::entry::{Draft, MOST_NODES};
use crate::error::Problem;
use crate::place::Place;
use crate::report::Report;

/// Reports ids that two nodes have, once for each pair of entries, at the later one.
pub(crate) fn ids(drafts: &[Draft], report: &mut Report<'_>) {
    let mut clashes = Clashes::default();
    let mut taken: HashMap<i64, &Draft> = HashMap::new();
    for (draft, k) in in_file_order(drafts).filter(|(draft, _)| draft.id_known) {
        let id = draft.id_of(k);
        match taken.entry(id) {
            Entry::Vacant(free) => drop(free.insert(draft)),
            Entry::Occupied(other) => {
                clashes.note(&draft.node.spots.id, &other.get().node.place, Wanted::Id(id));
            }
        }
    }
    clashes.tell(report);
}

/// Reports ports that two listeners of one host want on one address, once for each pair, at the later one.
pub(crate) fn ports(drafts: &[Draft], report: &mut Report<'_>) {
    let mut clashes = Clashes::default();
    let mut taken: HashMap<(Option<&str>, u16), Vec<Listener<'_>>> = HashMap::new();
    for (draft, k) in in_file_order(drafts) {
        for listener in Listener::of(draft) {
            let Some(port) = u16::try_from(u32::from(listener.port) + k).ok() else { continue };
            let others = taken.entry((draft.node.host.as_deref(), port)).or_default();
            match others.iter().find(|other| other.shares_address(&listener)) {
                None => others.push(listener),
                Some(other) => {
                    clashes.note(listener.place, other.place, Wanted::Port(port, listener.ip));
                }
            }
        }
    }
    clashes.tell(report);
}

/// Every node as its entry and its number there, the entries as they stand in the file: "already used by" then always
/// points upwards. Stops where the cluster is too large, which is reported elsewhere.
fn in_file_order(drafts: &[Draft]) -> impl Iterator<Item = (&Draft, u32)> {
    let mut sorted: Vec<&Draft> = drafts.iter().collect();
    sorted.sort_by(|a, b| a.node.place.cmp(&b.node.place));
    sorted.into_iter().flat_map(|draft| (0..draft.num).map(move |k| (draft, k))).take(MOST_NODES as usize)
}

/// The first of the ports that an entry listens on, one after the other.
struct Listener<'d> {
    ip: &'d str,
    port: u16,
    place: &'d Place,
}

impl<'d> Listener<'d> {
    fn of(draft: &'d Draft) -> impl Iterator<Item = Listener<'d>> {
        let node = &draft.node;
        let mut both = [(node.port, &node.spots.port), (node.http_port, &node.spots.http_port)];
        both.sort_by_key(|&(_, place)| place);
        both.into_iter().filter_map(|(port, place)| Some(Listener { ip: &node.ip, port: port?, place }))
    }

    /// Whether both cannot listen on one port: the same address, or one of them takes every address.
    fn shares_address(&self, other: &Listener<'_>) -> bool {
        let is_every = |ip: &str| ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        let plain = |ip: &str| if ip == "localhost" { "127.0.0.1".to_owned() } else { ip.to_lowercase() };
        is_every(self.ip) || is_every(other.ip) || plain(self.ip) == plain(other.ip)
    }
}

/// What two nodes cannot both have.
#[derive(Clone, Copy)]
enum Wanted<'d> {
    Id(i64),
    /// A port and the address that the later one wants it on.
    Port(u16, &'d str),
}

/// Clashes between two places, gathered: two entries with a large `num` clash once, not ten thousand times.
#[derive(Default)]
struct Clashes<'d> {
    found: Vec<Clash<'d>>,
    index: HashMap<(&'d Place, &'d Place), usize>,
}

struct Clash<'d> {
    place: &'d Place,
    by: &'d Place,
    first: Wanted<'d>,
    more: u32,
}

impl<'d> Clashes<'d> {
    /// Notes that `place` wants what stands at `by` already.
    fn note(&mut self, place: &'d Place, by: &'d Place, wanted: Wanted<'d>) {
        match self.index.entry((place, by)) {
            Entry::Occupied(known) => self.found[*known.get()].more += 1,
            Entry::Vacant(new) => {
                new.insert(self.found.len());
                self.found.push(Clash { place, by, first: wanted, more: 0 });
            }
        }
    }

    fn tell(self, report: &mut Report<'_>) {
        for Clash { place, by, first, more } in self.found {
            let (by, line) = (by.path.clone(), by.line);
            let problem = match first {
                Wanted::Id(id) => Problem::DuplicateId { id, by, line, more },
                Wanted::Port(port, ip) => Problem::PortTaken { port, ip: ip.to_owned(), by, line, more },
            };
            report.error(place.clone(), problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{errors, read};

    #[test]
    fn one_id_is_not_given_to_two_nodes() {
        insta::assert_snapshot!(errors(r#"{
  "game": [{"serverid": 6000}, {"serverid": 1}],
  "lobby": [{"serverid": 6000}],
  "master": {"serverid": 1}
}"#), @r#"
    deploy.json:3:26: lobby[0].serverid: 6000 is already used by game[0] (line 2)
    deploy.json:4:26: master.serverid: 1 is already used by game[1] (line 2)
    "#);
    }

    #[test]
    fn a_num_does_not_hide_a_clash_nor_repeat_it_for_every_node() {
        insta::assert_snapshot!(errors(r#"{
  "master": {"serverid": 1},
  "lobby": [{"serverid": 6000, "num": 100, "port": 7000}],
  "game": [{"serverid": 6090, "num": 100, "port": 7099}]
}"#), @r#"
    deploy.json:4:25: game[0].serverid: 6090 is already used by lobby[0] (line 3), and 9 more of them
    deploy.json:4:51: game[0].port: port 7099 on 127.0.0.1 is already used by lobby[0].port (line 3)
    "#);
    }

    #[test]
    fn one_port_is_not_given_to_two_listeners() {
        insta::assert_snapshot!(errors(r#"{
  "master": {"serverid": 1, "port": 9000, "http_port": 9000},
  "proxy": [{"serverid": 2, "port": 9000, "login": "any", "ip": "0.0.0.0"}],
  "lobby": [{"serverid": 3, "port": 9001, "num": 3, "http_port": 9003, "ip": "localhost"}]
}"#), @r#"
    deploy.json:2:56: master.http_port: port 9000 on 127.0.0.1 is already used by master.port (line 2)
    deploy.json:3:37: proxy[0].port: port 9000 on 0.0.0.0 is already used by master.port (line 2)
    deploy.json:4:37: lobby[0].port: port 9003 on localhost is already used by lobby[0].http_port (line 4)
    "#);
    }

    #[test]
    fn a_port_on_another_address_or_host_is_no_clash() {
        let (deploy, _) = read(
            r#"{
  "engine": {"nats": ["nats://10.0.0.9:4222"]},
  "master": {"serverid": 1, "port": 9000, "ip": "10.0.0.1", "host": "north"},
  "game": [{"serverid": 2, "port": 9000, "ip": "10.0.0.2", "host": "north"},
           {"serverid": 3, "port": 9000, "login": "any", "ip": "0.0.0.0", "host": "east"},
           {"serverid": 4, "port": 9000, "login": "any", "ip": "0.0.0.0", "host": "west"},
           {"serverid": 5, "port": 0, "num": 2, "host": "west"}]
}"#,
        );
        assert_eq!(deploy.nodes.len(), 6);
    }
}
