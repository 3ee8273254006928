//! How cost may grow, in counts of what passes: no figure here depends on the machine. The same code, with more nodes, makes
//! the chart of docs/en/scale.md.

use chappe_bench_scale::cluster::on_virtual_time;
use chappe_bench_scale::nodes::{self, NodesFigure};
use chappe_bench_scale::report::Figures;
use chappe_bench_scale::{chart, players};

fn measured(count: usize) -> NodesFigure {
    on_virtual_time(nodes::measure(count))
}

#[test]
fn a_membership_change_would_cost_more_than_a_word_to_each_member() {
    for at in [measured(10), measured(20), measured(40)] {
        let (nodes, others) = (at.nodes as u64, at.nodes as u64 - 1);
        // Each other node hears of a change once, in a frame of bounded size whatever the number of members.
        assert_eq!(at.crash.traffic.frames, others, "{nodes} nodes, a crash");
        assert!(at.crash.traffic.bytes <= others * 120, "{nodes} nodes, a crash: {:?}", at.crash.traffic);
        assert_eq!(at.freeze.traffic.frames, others, "{nodes} nodes, a node that is silent");
        assert!(at.leave.traffic.frames <= 2 * nodes + 2, "{nodes} nodes, a leave: {:?}", at.leave.traffic);
        assert!(at.join.traffic.frames <= 2 * nodes + 4, "{nodes} nodes, a join: {:?}", at.join.traffic);
        // The one that joins is told of everyone.
        assert!(at.join.traffic.bytes <= nodes * 600, "{nodes} nodes, a join: {:?}", at.join.traffic);
        assert_eq!(at.join.traffic.opened, nodes + 1, "a connection to each, and the heartbeat");
    }
}

#[test]
fn a_cluster_at_rest_would_talk() {
    let at = measured(30);
    let rest = at.rest.traffic;
    assert_eq!((rest.frames, rest.acks, rest.opened), (0, 0, 0));
    // 29 nodes beat every 3 s for 30 s.
    assert!((280..=300).contains(&rest.pulses), "{rest:?}");
}

#[test]
fn a_restart_of_the_master_would_need_more_than_a_few_words_with_each_node() {
    for at in [measured(10), measured(30)] {
        let nodes = at.nodes as u64;
        // Joins, their answers, and what the first of them told the master of the others.
        let most = 5 * nodes;
        assert!(at.restart.traffic.frames <= most, "{nodes} nodes: {:?}", at.restart.traffic);
        assert!(at.restart.ms < 2000.0, "{nodes} nodes: {} ms", at.restart.ms);
    }
}

#[test]
fn the_program_would_rot() {
    let figures = Figures {
        machine: "a <test> & its machine".to_owned(),
        nodes: vec![measured(5), measured(10)],
        players: vec![on_virtual_time(players::measure(500))],
    };
    let text = figures.to_string();
    assert!(text.contains("| nodes | 5 | 10 |") && text.contains("| players | 500 |"), "{text}");
    let svg = chart::svg(&figures);
    assert!(svg.starts_with("<svg") && svg.contains("&lt;test&gt; &amp;") && !svg.contains("NaN"), "{svg}");
}
