//! "Did you mean ...?": the known name nearest to a mistyped one.

/// Names longer than this are not compared: no known name is, and the cost grows with the product of the lengths.
const LONGEST: usize = 40;

/// The one of `known` nearest to `word`, if it is near enough to be what was meant. Case counts for nothing.
pub(crate) fn nearest(word: &str, known: &[&str]) -> Option<String> {
    let word: Vec<char> = word.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let allowed = (word.len() / 3).clamp(1, 3);
    known
        .iter()
        .map(|name| (distance(&word, &name.chars().collect::<Vec<_>>()), *name))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name.to_owned())
}

/// How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b` (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new(); // the row before the last one, for swaps
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["proxy", "lobby", "game", "service"];
        assert_eq!(nearest("lobbby", &known).as_deref(), Some("lobby"));
        assert_eq!(nearest("Games", &known).as_deref(), Some("game"));
        assert_eq!(nearest("services", &known).as_deref(), Some("service"));
        assert_eq!(nearest("prot", &["port", "proxy"]).as_deref(), Some("port"));
        assert_eq!(nearest("database", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest(&"g".repeat(1_000_000), &known), None);
    }
}
