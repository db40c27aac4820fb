//! Where the binaries of the control plane come from: `KUBEBUILDER_ASSETS`, the user's cache, or a build.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::Error;
use super::build::{self, Go, Progress};
use super::recipe::Recipe;

const COMPLETE: &str = "complete";

/// A program of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binary {
    /// `etcd`
    Etcd,
    /// `kube-apiserver`
    ApiServer,
    /// `kube-controller-manager`
    ControllerManager,
    /// `kubectl`
    Kubectl,
    /// `helm`
    Helm,
    /// `promtool`, which no control plane needs: a build of its own makes it.
    Promtool,
}

impl Binary {
    /// What a full control plane needs, and what one build makes.
    pub const ALL: [Self; 5] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Kubectl, Self::Helm];
    /// What the published `envtest` archives hold: enough without a controller manager.
    pub const ENVTEST: [Self; 3] = [Self::Etcd, Self::ApiServer, Self::Kubectl];

    /// The name of its file.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Promtool => "promtool",
        }
    }
}

/// A directory that held the binaries asked for when it was found.
#[derive(Clone, Debug)]
pub struct Assets {
    dir: PathBuf,
}

impl Assets {
    /// The binaries `needs` that are there already, in `KUBEBUILDER_ASSETS` or the cache; never builds.
    ///
    /// # Errors
    /// There is no place for a cache, or Go does not work.
    pub fn locate(needs: &[Binary]) -> Result<Option<Self>, Error> {
        match Self::named(needs) {
            Ok(assets) => Ok(Some(assets)),
            Err(_) => {
                let recipe = Recipe::of(needs);
                Ok(Self::cached(recipe, &cache_dir(recipe)?, Go::detect()?.as_ref()))
            }
        }
    }

    /// The binaries `needs`, built from the pinned sources where they are not there yet. Blocks: a build takes
    /// about 8 minutes, once; it reports to standard error, and other processes wait for it.
    ///
    /// # Errors
    /// No Go, or one too old, to build with; the build failed; the cache cannot be written.
    pub fn ensure(needs: &[Binary]) -> Result<Self, Error> {
        let lack = match Self::named(needs) {
            Ok(assets) => return Ok(assets),
            Err(lack) => lack,
        };
        let recipe = Recipe::of(needs);
        let (cache, go) = (cache_dir(recipe)?, Go::detect()?);
        match (Self::cached(recipe, &cache, go.as_ref()), go) {
            (Some(assets), _) => Ok(assets),
            (None, Some(go)) => go.check().and_then(|()| build_once(recipe, &cache, &go)),
            (None, None) => Err(Error::NoGo(lack)),
        }
    }

    /// Where this binary is.
    #[must_use]
    pub fn path(&self, binary: Binary) -> PathBuf {
        self.dir.join(binary.file_name())
    }

    /// The directory they are all in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Or why not.
    fn named(needs: &[Binary]) -> Result<Self, String> {
        let named = env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty());
        let dir = PathBuf::from(named.ok_or("KUBEBUILDER_ASSETS is not set")?);
        let assets = Self { dir: std::path::absolute(&dir).unwrap_or(dir) };
        let missing = assets.missing(needs);
        if missing.is_empty() {
            return Ok(assets);
        }
        let lack = format!("KUBEBUILDER_ASSETS={} lacks {}", assets.dir.display(), missing.join(", "));
        build::say(&format!("{lack}; passing it over"));
        Err(lack)
    }

    fn missing(&self, needs: &[Binary]) -> Vec<&'static str> {
        let missing = needs.iter().filter(|binary| !self.path(**binary).is_file());
        missing.map(|binary| binary.file_name()).collect()
    }

    /// Without Go its version is unknown, and any finished build of the same sources will do.
    fn cached(recipe: &Recipe, cache: &Path, go: Option<&Go>) -> Option<Self> {
        let key = go.map_or_else(|| recipe.key(), |go| go.key(recipe));
        let fits = |name: &str| {
            if go.is_some() { name == key } else { name.starts_with(&key) }
        };
        let mut entries =
            fs::read_dir(cache).ok()?.flatten().filter(|entry| entry.file_name().to_str().is_some_and(fits));
        let is_complete =
            |found: &Self| found.dir.join(COMPLETE).is_file() && found.missing(recipe.binaries).is_empty();
        entries.find_map(|entry| Some(Self { dir: entry.path() }).filter(is_complete))
    }
}

fn build_once(recipe: &Recipe, cache: &Path, go: &Go) -> Result<Assets, Error> {
    fs::create_dir_all(cache).map_err(Error::io("make", cache))?;
    let lock = cache.join(".lock");
    let _building = lock_with_notice(&lock).map_err(Error::io("lock", &lock))?;
    if let Some(assets) = Assets::cached(recipe, cache, Some(go)) {
        return Ok(assets);
    }
    let dir = cache.join(go.key(recipe));
    build::build(recipe, go, &cache.join("building"), |built| {
        File::create(built.join(COMPLETE))?;
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::rename(built, &dir)
    })?;
    Ok(Assets { dir })
}

fn lock_with_notice(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    let waiting = || "another process is building; waiting for it".to_owned();
    let mut progress = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                progress.get_or_insert_with(|| Progress::saying(&waiting())).tick(waiting);
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// This project's part of `XDG_CACHE_HOME` or `~/.cache`.
fn cache_dir(recipe: &Recipe) -> Result<PathBuf, Error> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home_organization| home_organization.join(".cache")));
    Ok(base.ok_or(Error::NoCache)?.join("zitadel-operator").join(recipe.name))
}
