//! The one thing of a mod that other nodes must know: the RPC modules that its mod.json declares (spec/apollo.md
//! section 4). Where a mod keeps its mod.json is told in the Python package, `chappe/mods.py`, which loads it.

use std::path::{Path, PathBuf};

use crate::field::Field;
use crate::json;
use crate::report::Report;

const DEV: &str = "developer_mods";
const PACKS: &str = "behavior_packs";
const MAIN: &str = "modMain.py";
/// More of a file than this is no mod.json.
const LONGEST: u64 = 1 << 20;

/// The RPC modules of the mod in `dir`. What cannot be read declares none: the node that loads the mod says why.
pub(crate) fn modules(dir: &Path) -> Vec<String> {
    let mut files: Vec<PathBuf> =
        folders(&dir.join(DEV)).iter().filter_map(|group| manifest(group)).collect();
    if files.is_empty() && !dir.join(DEV).is_dir() && !dir.join(PACKS).is_dir() {
        files.extend(manifest(dir));
    }
    files.iter().flat_map(|file| names(file)).collect()
}

/// The mod.json of a folder that has scripts, in it or one below.
fn manifest(group: &Path) -> Option<PathBuf> {
    let has_main = |folder: &Path| folder.join(MAIN).is_file();
    let scripts: Vec<PathBuf> = folders(group).into_iter().filter(|folder| has_main(folder)).collect();
    let own = group.join("mod.json");
    if own.is_file() {
        return (has_main(group) || !scripts.is_empty()).then_some(own);
    }
    scripts.into_iter().map(|folder| folder.join("mod.json")).find(|file| file.is_file())
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(of) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_'])));
    found.sort();
    found
}

fn names(file: &Path) -> Vec<String> {
    if std::fs::metadata(file).map_or(true, |about| about.len() > LONGEST) {
        return Vec::new();
    }
    let Ok(bytes) = std::fs::read(file) else { return Vec::new() };
    // Names of modules are plain letters, whatever else of the file is not utf-8.
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut report = Report::new(text);
    let Some(json) = json::parse(text, &mut report) else { return Vec::new() };
    let fields = Field { json: &json, path: String::new() }.object(&mut report);
    let names = fields.and_then(|fields| Some(fields.find("module_names")?.names(&mut report)));
    names.unwrap_or_default().into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mod_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        dir
    }

    #[test]
    fn a_module_that_only_a_mod_json_declares_is_not_missed() {
        let lenient = "\u{feff}{\"module_names\": \"old\", // the last one counts\n \"module_names\": [\"mail\", null, \"bank,rank\",],}";
        let nested = mod_with(&[
            ("developer_mods/aDev/mod.json", lenient),
            ("developer_mods/aDev/aScript/modMain.py", ""),
            ("developer_mods/bDev/bScript/mod.json", r#"{"module_names": "guild"}"#),
            ("developer_mods/bDev/bScript/modMain.py", ""),
            ("developer_mods/cDev/mod.json", r#"{"module_names": "nothing of it is run"}"#),
            ("behavior_packs/aClient/mod.json", r#"{"module_names": "client"}"#),
            ("behavior_packs/aClient/aScript/modMain.py", ""),
        ]);
        assert_eq!(modules(nested.path()), ["mail", "bank", "rank", "guild"]);
        let flat = mod_with(&[("mod.json", r#"{"module_names": "flat"}"#), ("modMain.py", "")]);
        assert_eq!(modules(flat.path()), ["flat"]);
    }

    #[test]
    fn a_mod_json_that_is_broken_declares_nothing() {
        for text in ["", "[]", "{", r#"{"module_names": null}"#, r#"{"module_names": 7}"#] {
            let broken = mod_with(&[("mod.json", text), ("modMain.py", "")]);
            assert_eq!(modules(broken.path()), [""; 0], "{text}");
        }
        assert_eq!(modules(Path::new("/nowhere/at/all")), [""; 0]);
    }
}
