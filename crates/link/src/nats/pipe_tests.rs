use super::*;

const WINDOW: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(12);

/// Two sides and what is on the way between them, on a clock of their own.
struct Pair {
    now: Instant,
    sides: [Pipe; 2],
    /// Towards each side.
    wires: [VecDeque<Bytes>; 2],
}

impl Pair {
    fn new() -> Pair {
        let now = Instant::now();
        let side = || {
            let mut pipe = Pipe::new(WINDOW, PATIENCE, now);
            pipe.connected(WINDOW as u64, now);
            pipe
        };
        Pair { now, sides: [side(), side()], wires: Default::default() }
    }

    fn publish(&mut self, side: usize) {
        while let Some(message) = self.sides[side].to_publish().cloned() {
            self.wires[1 - side].push_back(message);
            self.sides[side].was_published();
        }
    }

    fn write(&mut self, side: usize, bytes: &[u8]) -> usize {
        let mut buffer = Buffer::default();
        buffer.tail(bytes.len()).extend_from_slice(bytes);
        self.sides[side].write(&mut buffer, 100).unwrap();
        self.publish(side);
        bytes.len() - buffer.len()
    }

    /// Delivers the next message to a side.
    fn deliver(&mut self, side: usize) -> bool {
        let Some(message) = self.wires[side].pop_front() else { return false };
        let (head, data) = Head::decode(&message).unwrap();
        let came = self.sides[side].came(head, data, self.now);
        if let Some(answer) = came.answer {
            self.wires[1 - side].push_back(answer.with(&[]));
        }
        self.publish(side);
        true
    }

    fn settle(&mut self) {
        while self.deliver(0) || self.deliver(1) {}
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in 0..2 {
            if let Some(head) = self.sides[side].tick(self.now, Some(self.now - PATIENCE)) {
                self.wires[1 - side].push_back(head.with(&[]));
            }
        }
    }

    fn read(&mut self, side: usize) -> Vec<u8> {
        let mut buffer = Buffer::default();
        while self.sides[side].read(&mut buffer).unwrap().is_some_and(|count| count > 0) {}
        if let Some(news) = self.sides[side].news() {
            self.wires[1 - side].push_back(news.with(&[]));
        }
        buffer.filled().to_vec()
    }
}

/// The same numbers on every machine.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_stream_over_a_lossy_repeating_wire_has_no_gap_and_no_repetition() {
    for seed in 1..200u64 {
        let (mut pair, mut dice) = (Pair::new(), seed);
        let sent: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
        let (mut written, mut got) = (0, Vec::new());
        for _ in 0..200_000 {
            if got.len() == sent.len() {
                break;
            }
            match random(&mut dice) % 10 {
                0..3 => {
                    let count = (random(&mut dice) as usize % 300).min(sent.len() - written);
                    written += pair.write(0, &sent[written..written + count]);
                }
                3 => drop(pair.wires[1].pop_front()),
                4 => drop(pair.wires[0].pop_front()),
                5 => {
                    if let Some(message) = pair.wires[1].front().cloned() {
                        pair.wires[1].push_back(message);
                    }
                }
                6 => pair.pass(Duration::from_millis(random(&mut dice) % 600)),
                7 => got.extend(pair.read(1)),
                8 if pair.wires[1].len() < 10 => {
                    pair.sides[0].publish_again();
                    pair.publish(0);
                }
                _ => {
                    for _ in 0..random(&mut dice) % 10 {
                        pair.deliver(1);
                        pair.deliver(0);
                    }
                }
            }
        }
        assert!(
            got == sent,
            "seed {seed}: {} of {} bytes, {:?}",
            got.len(),
            sent.len(),
            pair.sides[1].over()
        );
    }
}

#[test]
fn what_is_not_read_stops_the_writer_at_the_window_and_reading_lets_it_go_on() {
    let mut pair = Pair::new();
    let bytes = vec![1; 10 * WINDOW];
    let taken = pair.write(0, &bytes);
    assert!(taken > 0 && taken <= WINDOW, "{taken}");
    pair.settle();
    assert_eq!(pair.write(0, &bytes), 0);
    assert_eq!(pair.read(1).len(), taken);
    pair.settle();
    assert!(pair.write(0, &bytes) > 0);
}

#[test]
fn the_last_message_that_is_lost_is_missed_although_none_follows() {
    let mut pair = Pair::new();
    pair.write(0, b"lost");
    pair.wires[1].clear();
    pair.pass(QUIET);
    pair.settle();
    assert_eq!(pair.read(1), b"lost");
}

#[test]
fn what_was_written_before_the_end_arrives_before_it() {
    let mut pair = Pair::new();
    pair.write(0, b"last words");
    pair.sides[0].end();
    pair.publish(0);
    pair.settle();
    assert!(!pair.sides[0].is_settled());
    let mut buffer = Buffer::default();
    assert_eq!(pair.sides[1].read(&mut buffer).unwrap(), Some(10));
    pair.pass(QUIET);
    pair.settle();
    assert!(!pair.sides[0].is_settled(), "the end counts as read before it was");
    assert_eq!(pair.read(1), b"");
    pair.settle();
    assert!(pair.sides[0].is_settled());
}

#[test]
fn a_side_that_is_gone_is_noticed_and_one_that_reconnects_is_not_given_up() {
    let mut pair = Pair::new();
    pair.sides[0].nobody_there(pair.now);
    pair.pass(GONE - Duration::from_millis(1));
    assert!(pair.sides[0].over().is_none());
    pair.settle();
    pair.pass(GONE);
    assert!(pair.sides[0].over().is_none(), "it has come back");
    pair.sides[0].nobody_there(pair.now);
    // Our own connection is new: theirs may still be on its way.
    pair.now += GONE;
    let up = pair.now - Duration::from_secs(1);
    pair.sides[0].tick(pair.now, Some(up));
    assert!(pair.sides[0].over().is_none());
    pair.now += GONE_AFTER_UP;
    pair.sides[0].tick(pair.now, Some(up));
    let error = pair.sides[0].read(&mut Buffer::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn silence_ends_the_connection_by_name_whether_or_not_nats_is_there() {
    let mut pair = Pair::new();
    pair.sides[0].tick(pair.now + PATIENCE, None);
    let error = pair.write_error(0);
    assert!(error.to_string().contains("nothing was heard"), "{error}");
}

#[test]
fn a_peer_that_sends_beyond_the_window_is_cut_off() {
    let mut pair = Pair::new();
    for seq in 1..400u64 {
        pair.sides[1].came(Head::new(Kind::Data, 0, seq), &[0; 1000], pair.now);
    }
    assert_eq!(pair.sides[1].over().map(|over| over.kind), Some(io::ErrorKind::InvalidData));
}

#[test]
fn acknowledgements_of_what_was_never_sent_are_ignored() {
    let mut pair = Pair::new();
    pair.write(0, b"one");
    pair.sides[0].came(Head::new(Kind::Ack, u64::MAX, u64::MAX), &[], pair.now);
    pair.sides[0].came(Head::new(Kind::Ask, 0, u64::MAX), &[], pair.now);
    pair.write(0, b"two");
    pair.settle();
    assert_eq!(pair.read(1), b"onetwo");
}

impl Pair {
    fn write_error(&mut self, side: usize) -> io::Error {
        let mut buffer = Buffer::default();
        buffer.tail(1).push(1);
        self.sides[side].write(&mut buffer, 100).unwrap_err()
    }
}
