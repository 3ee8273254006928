//! Where what must survive is kept: the key `store`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::deploy::Deploy;
use crate::entry::resolve;
use crate::error::{DeployError, DeployErrors, Notice, Problem};
use crate::field::Field;
use crate::place::Place;
use crate::report::Report;

/// The variable that goes before the key `store`: a url has a password in it, which no file should have.
pub const STORE_VARIABLE: &str = "CHAPPE_STORE";

/// The variable that names a file with what [`STORE_VARIABLE`] would say: an environment is shown in many places.
pub const STORE_FILE_VARIABLE: &str = "CHAPPE_STORE_FILE";

/// The file's name in the data directory, where nothing else is said.
const FILE: &str = "store.sqlite";

/// Where the master keeps player records, notifications and dead letters.
#[derive(Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// An SQLite file, absolute.
    File(PathBuf),
    /// A PostgreSQL url (`postgres://user:password@host/database`).
    Postgres(String),
}

/// A [`StorePlace`], and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreChoice {
    /// The place.
    pub place: StorePlace,
    /// Named by the key or the variable. Else it is the file in the data directory, which is made when it is needed.
    pub is_named: bool,
}

/// The key as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    place: StorePlace,
    spot: Place,
}

impl StorePlace {
    /// Reads what stands in `store` or [`STORE_VARIABLE`]: a `postgres://` url, or the path of an SQLite file, relative to
    /// `dir`.
    ///
    /// # Errors
    /// [`Problem::UnknownStore`] for the url of another database; [`Problem::Empty`].
    pub fn parse(text: &str, dir: &Path) -> Result<StorePlace, Problem> {
        let text = text.trim();
        match text.split_once("://") {
            _ if text.is_empty() => Err(Problem::Empty),
            Some(("postgres" | "postgresql", _)) => Ok(StorePlace::Postgres(text.to_owned())),
            Some((scheme, _)) => Err(Problem::UnknownStore { scheme: scheme.to_owned() }),
            None => Ok(StorePlace::File(resolve(dir, text))),
        }
    }

    /// The place as `chappe_store::open` takes it; a url with its password.
    #[must_use]
    pub fn with_secrets(&self) -> String {
        match self {
            StorePlace::File(path) => path.to_string_lossy().into_owned(),
            StorePlace::Postgres(url) => url.clone(),
        }
    }

    /// What stands between the user's name and the `@`, or behind `password=`.
    fn has_password(&self) -> bool {
        let StorePlace::Postgres(url) = self else { return false };
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let user = rest.split(['/', '?']).next().and_then(|host| host.rsplit_once('@'));
        user.is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
    }
}

/// Without secrets.
impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorePlace::File(path) => write!(f, "{}", path.display()),
            StorePlace::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.split('?').next().unwrap_or_default();
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "postgres://{host}")
            }
        }
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Named {
    pub(crate) fn place(&self) -> &StorePlace {
        &self.place
    }

    pub(crate) fn read(field: &Field<'_>, dir: &Path, report: &mut Report<'_>) -> Option<Named> {
        match StorePlace::parse(&field.text(report)?, dir) {
            Ok(place) => {
                let spot = field.place(report);
                if place.has_password() {
                    report.warn(spot.clone(), Notice::PasswordInFile);
                }
                Some(Named { place, spot })
            }
            Err(problem) => {
                field.error(problem, report);
                None
            }
        }
    }
}

impl Deploy {
    /// Where the master keeps what must survive: `variable` (the value of [`STORE_VARIABLE`]) goes before the key `store`,
    /// and that before the file in the data directory.
    ///
    /// # Errors
    /// What is wrong with the variable's value.
    pub fn store(&self, variable: Option<&str>) -> Result<StoreChoice, Problem> {
        if let Some(text) = variable.filter(|text| !text.trim().is_empty()) {
            return Ok(StoreChoice { place: StorePlace::parse(text, &self.dir)?, is_named: true });
        }
        Ok(match &self.store {
            Some(Named { place, .. }) => StoreChoice { place: place.clone(), is_named: true },
            None => StoreChoice { place: StorePlace::File(self.data_dir.join(FILE)), is_named: false },
        })
    }

    /// Has `check` look at the place that the key `store` names; a path is looked at here. Nothing is opened.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn check_store(
        &self,
        check: impl FnOnce(&StorePlace) -> Result<(), String>,
    ) -> Result<(), DeployErrors> {
        let Some(Named { place, spot }) = &self.store else { return Ok(()) };
        let looked_at = match place {
            StorePlace::File(path) => usable(path),
            StorePlace::Postgres(_) => Ok(()),
        };
        let Err(reason) = looked_at.and_then(|()| check(place)) else { return Ok(()) };
        let problem = Problem::BadStore { place: place.to_string(), reason };
        let error = DeployError { place: spot.clone(), problem };
        DeployErrors::new(&self.file, vec![error], Vec::new()).map_or(Ok(()), Err)
    }
}

impl Deploy {
    /// Whether a store at `place` can decide which of two masters leads.
    ///
    /// # Errors
    /// That it cannot, at the second master's place.
    pub fn check_masters(&self, place: &StorePlace) -> Result<(), DeployErrors> {
        let (Some(second), StorePlace::File(place)) = (self.masters().nth(1), place) else { return Ok(()) };
        let problem = Problem::MastersWithoutPostgres { store: place.display().to_string() };
        let error = DeployError { place: second.place.clone(), problem };
        DeployErrors::new(&self.file, vec![error], Vec::new()).map_or(Ok(()), Err)
    }
}

/// Whether a file can stand there.
fn usable(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err("it is a directory; name a file in it".to_owned());
    }
    match path.parent().filter(|dir| !dir.is_dir()) {
        Some(dir) => Err(format!("there is no directory {}", dir.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{errors, read_in};

    #[test]
    fn a_password_would_stand_in_a_log() {
        let url = "postgres://game:s3cret@db.local:5432/arena?password=s3cret";
        let place = StorePlace::parse(url, Path::new("/srv")).expect("a url");
        assert_eq!(
            format!("{place} {place:?}"),
            "postgres://db.local:5432/arena postgres://db.local:5432/arena"
        );
        assert_eq!(place.with_secrets(), url);
    }

    #[test]
    fn the_variable_would_not_go_before_the_file() {
        let text = r#"{"master": {"serverid": 1}, "store": "records/a.sqlite"}"#;
        let (deploy, warnings) = read_in(Path::new("/srv/arena"), text);
        assert_eq!(warnings, []);
        let file = |path: &str| StorePlace::File(PathBuf::from(path));
        let named = |place| StoreChoice { place, is_named: true };
        assert_eq!(deploy.store(None), Ok(named(file("/srv/arena/records/a.sqlite"))));
        assert_eq!(deploy.store(Some("b.sqlite")), Ok(named(file("/srv/arena/b.sqlite"))));
        assert!(deploy.store(Some("mysql://db/x")).is_err());

        let (plain, _) = read_in(Path::new("/srv/arena"), r#"{"master": {"serverid": 1}}"#);
        let default = StoreChoice { place: file("/srv/arena/data/store.sqlite"), is_named: false };
        assert_eq!(plain.store(Some(" ")), Ok(default));
    }

    #[test]
    fn a_place_where_no_store_can_be_is_told_when_the_first_player_comes() {
        insta::assert_snapshot!(errors(r#"{"master": {"serverid": 1},
  "store": "mysql://root@db/game"
}"#), @"deploy.json:2:12: store: `mysql://` is no store; there are `postgres://` urls, and paths of SQLite files");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let told = |store: &str| {
            let text = format!(r#"{{"master": {{"serverid": 1}}, "store": "{store}"}}"#);
            let (deploy, _) = read_in(dir.path(), &text);
            let bad = |place: &StorePlace| match place {
                StorePlace::Postgres(_) => Err("nobody there".to_owned()),
                StorePlace::File(_) => Ok(()),
            };
            let told =
                deploy.check_store(bad).map_or_else(|errors| errors.to_string(), |()| "fine".to_owned());
            told.replace(&*dir.path().to_string_lossy(), "DIR")
        };
        let all = [".", "nowhere/a.sqlite", "a.sqlite", "postgres://me@db/game"].map(told);
        insta::assert_snapshot!(all.join("\n"), @r#"
        DIR/deploy.json:1:38: store: no store can be at DIR: it is a directory; name a file in it
        DIR/deploy.json:1:38: store: no store can be at DIR/nowhere/a.sqlite: there is no directory DIR/nowhere
        fine
        DIR/deploy.json:1:38: store: no store can be at postgres://db/game: nobody there
        "#);
    }

    #[test]
    fn two_masters_that_nothing_decides_between_would_be_started() {
        let text = r#"{"store": "a.sqlite",
  "master": [{"serverid": 1}, {"serverid": 2}]}"#;
        let (deploy, _) = read_in(Path::new("/srv"), text);
        assert_eq!(deploy.masters().map(|master| master.id).collect::<Vec<_>>(), [1, 2]);
        let file = StorePlace::File(PathBuf::from("/srv/a.sqlite"));
        let told = deploy.check_masters(&file).expect_err("a file is no judge").to_string();
        insta::assert_snapshot!(told, @"/srv/deploy.json:2:31: master[1]: two masters need a PostgreSQL database that both can reach, and the store is /srv/a.sqlite: name one in `store` or in the variable CHAPPE_STORE, or list one master");
        assert_eq!(deploy.check_masters(&StorePlace::Postgres("postgres://db/game".to_owned())), Ok(()));
        let one = read_in(Path::new("/srv"), r#"{"master": [{"serverid": 1}]}"#).0;
        assert_eq!(one.check_masters(&file), Ok(()));
    }

    #[test]
    fn a_password_in_the_file_is_not_warned_of() {
        let warned = |url: &str| {
            let text = format!(r#"{{"master": {{"serverid": 1}}, "store": "{url}"}}"#);
            read_in(Path::new("/srv"), &text).1.len()
        };
        assert_eq!(warned("postgres://me:secret@db/game"), 1);
        assert_eq!(warned("postgres://db/game?user=me&password=x"), 1);
        assert_eq!(warned("postgres://me@db:5432/game"), 0);
    }
}
