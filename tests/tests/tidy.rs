//! Rules that the repository keeps for itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Files below `dir` whose name ends as given, without what is built or installed.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_readme_stays_short_and_its_game_is_the_one_that_is_tested() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
    let game = read("examples/hello/src/main.rs");
    let game = game.lines().filter(|line| !line.starts_with("//!")).collect::<Vec<_>>().join("\n");
    assert!(readme.contains(game.trim()), "README.md shows another game than examples/hello/src/main.rs");
}

#[test]
fn every_crate_stands_in_the_architecture() {
    let page = read("ARCHITECTURE.md");
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("| `{name}` |")), "ARCHITECTURE.md does not tell of crates/{name}");
    }
}

#[test]
fn no_page_links_to_what_is_not_there() {
    for page in files(&root(), ".md") {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            assert!(page.parent().unwrap().join(target).exists(), "{} links to {link}", page.display());
        }
    }
}

#[test]
fn pure_crates_stay_pure() {
    for file in
        ["wire", "route"].iter().flat_map(|name| files(&root().join("crates").join(name).join("src"), ".rs"))
    {
        let text = fs::read_to_string(&file).unwrap();
        for word in ["std::net", "std::fs", "tokio::", "Instant::now", "SystemTime", "std::thread", "rand::"]
        {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn every_chinese_page_has_its_english_one() {
    let names = |dir: &str| -> Vec<String> {
        let pages = files(&root().join("docs").join(dir), ".md");
        let mut names: Vec<_> =
            pages.iter().map(|page| page.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("en"), names("zh"));
}
