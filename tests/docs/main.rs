//! The documents say what the code does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod commands;
mod console;
mod links;
mod manifests;
mod messages;
mod procedures;
mod reasons;
mod reference;
mod scene;
mod tables;

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use zitadel_operator::kinds::definitions;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Holds a document to what it should be, or writes it where `UPDATE_DOCS` is set.
fn hold(path: &str, should: &str) -> Result<(), String> {
    let file = repository().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, should).unwrap();
    }
    let is = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = is.lines().zip(should.lines()).find(|(is, should)| is != should);
    match is == should {
        true => Ok(()),
        false => Err(format!("{path} is stale: UPDATE_DOCS=1 cargo test --test docs\n{differs:#?}")),
    }
}

/// Where Markdown files of the project are.
const DIRECTORIES: &[&str] = &["", "docs", "docs/reference", "examples", "charts/zitadel-operator"];

/// Every Markdown file of the project, as a path from the repository.
fn documents() -> Vec<PathBuf> {
    let there = DIRECTORIES.iter().filter_map(|directory| {
        let files = std::fs::read_dir(repository().join(directory)).ok()?;
        Some(files.map(|file| Path::new(directory).join(file.unwrap().file_name())))
    });
    there.flatten().filter(|name| name.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Name and content of each example, in the order in which `kubectl apply -f examples/` takes them.
fn examples() -> Vec<(String, String)> {
    let files = std::fs::read_dir(repository().join("examples")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let manifests = sorted(names.filter(|name| name.ends_with(".yaml")));
    manifests.into_iter().map(|name| (name.clone(), read(&format!("examples/{name}")))).collect()
}

/// The rows of the first table after a heading, each as its cells without quotes of code.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split(heading).nth(1).unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().replace('`', "");
    rows.map(|row| row.trim_matches('|').split('|').map(cell).collect()).collect()
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items
}

/// A row of the README's table of kinds.
struct Guide {
    kind: String,
    short: String,
    /// Below `docs/`.
    page: String,
    title: String,
    reference: String,
}

fn guides() -> Vec<Guide> {
    let rows = table(&read("README.md"), "## Kinds").into_iter().map(|row| {
        let (kind, page) = row[0].trim_matches(['[', ')']).split_once("](docs/").unwrap();
        let title = read(&format!("docs/{page}")).lines().next().unwrap().trim_start_matches("# ").into();
        let reference = row[2].split_once("](").unwrap().1.trim_end_matches(')').into();
        Guide { kind: kind.into(), short: row[1].clone(), page: page.into(), title, reference }
    });
    rows.collect()
}

#[test]
fn the_readme_has_a_row_for_every_kind_with_its_short_name_its_guide_and_its_reference() {
    let rows = guides().into_iter().map(|guide| {
        assert!(
            read(&format!("docs/{}", guide.page)).contains(&format!("`{}`", guide.kind)),
            "{}",
            guide.page
        );
        (guide.kind, guide.short, guide.reference)
    });
    let definitions = definitions();
    let kinds = definitions.iter().map(|crd| {
        let names = crd.spec.names.clone();
        (names.kind, names.short_names.unwrap().remove(0), reference::path(crd))
    });
    assert_eq!(sorted(rows), sorted(kinds));
}

fn link(crd: &CustomResourceDefinition) -> Vec<String> {
    let path = reference::path(crd);
    vec![format!("[{}]({})", crd.spec.names.kind, path.trim_start_matches("docs/"))]
}

/// What a definition says of its kind before the first comma or colon.
fn said_first(crd: &CustomResourceDefinition) -> String {
    let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
    let said = schema["openAPIV3Schema"]["description"].as_str().unwrap().to_owned();
    let first = said.split([',', ':', '.']).next().unwrap();
    first[..1].to_lowercase() + &first[1..]
}

#[test]
fn the_index_leads_to_every_page() {
    let pages: Vec<Vec<String>> = definitions().iter().map(link).collect();
    tables::follow("docs/README.md", "## Reference", &pages, |number| said_first(&definitions()[number]));
    let index = read("docs/README.md");
    for page in documents().iter().filter(|page| page.starts_with("docs")) {
        let link = format!("]({})", page.strip_prefix("docs").unwrap().display());
        assert!(
            page.ends_with("docs/README.md") || index.contains(&link),
            "{page:?} is not in docs/README.md"
        );
    }
}

#[test]
fn every_example_is_listed_beside_them() {
    let list = read("examples/README.md");
    for (name, _) in examples() {
        assert!(list.contains(&format!("]({name})")), "{name}");
    }
}

/// Of each patch in tests/mutants: its path, the sentence that says what is broken, and the command whose test finds it.
fn mutants() -> Vec<(String, String, String)> {
    let files = std::fs::read_dir(repository().join("tests/mutants")).unwrap();
    let paths = files.map(|file| format!("tests/mutants/{}", file.unwrap().file_name().to_str().unwrap()));
    let patches = paths.filter(|path| path.ends_with(".patch"));
    let described = patches.map(|path| {
        let text = read(&path);
        let (defect, rest) = text.split_once("\nCaught-by: ").unwrap();
        (path.clone(), defect.to_owned(), rest.lines().next().unwrap().to_owned())
    });
    described.collect()
}

#[test]
fn every_mutant_is_listed_with_the_test_that_catches_it() {
    let all: Vec<Vec<String>> = mutants()
        .iter()
        .map(|(path, defect, command)| {
            let name = path.trim_start_matches("tests/mutants/").trim_end_matches(".patch");
            vec![format!("{defect} ([{name}](../{path}))"), tables::quoted(command)]
        })
        .collect();
    tables::follow("docs/reliability.md", "## Mutants", &all, |_| String::new());
    let rows = table(&read("docs/reliability.md"), "## Mutants").into_iter();
    let listed = rows.map(|row| (row[0].clone(), row[1].clone()));
    let plain = |cell: &String| cell.replace('`', "");
    let present = all.iter().map(|row| (plain(&row[0]), plain(&row[1])));
    assert_eq!(sorted(listed), sorted(present));
}

/// All Rust code below a directory.
fn code(directory: &Path) -> String {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let text = paths.map(|path| match path.extension() {
        _ if path.is_dir() => code(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(path).unwrap(),
        _ => String::new(),
    });
    text.collect()
}

#[test]
fn every_test_that_catches_a_mutant_is_there() {
    let code = code(&repository().join("src")) + &code(&repository().join("tests"));
    for (path, _, command) in mutants() {
        let tests = command.split_once(" -- ").unwrap().1.split(' ');
        for test in tests.map(|test| test.rsplit("::").next().unwrap()) {
            assert!(code.contains(&format!("fn {test}()")), "{path}: {test}");
        }
    }
}

#[test]
fn every_mutant_still_applies() {
    let mutants = mutants();
    assert!(mutants.len() >= 18, "{} mutants", mutants.len());
    let git = |arguments: &[&str]| {
        std::process::Command::new("git").args(arguments).current_dir(repository()).output()
    };
    if !git(&["rev-parse", "--git-dir"]).is_ok_and(|output| output.status.success()) {
        println!("skipped: git or its directory is missing");
        return;
    }
    for (path, ..) in mutants {
        let output = git(&["apply", "--check", &path]).unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_fault_has_its_row_and_the_tests_it_names_are_there() {
    let text = read("docs/reliability.md");
    let rows = table(&text, "## Fault matrix");
    let faults: Vec<String> = (1..=25).map(|number| format!("F{number}")).collect();
    assert_eq!(rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), faults);
    let code = code(&repository().join("src")) + &code(&repository().join("tests"));
    let section = text.split("## Fault matrix").nth(1).unwrap().split("\n## ").next().unwrap();
    let quoted = section.split('`').skip(1).step_by(2);
    for name in quoted.filter(|quoted| quoted.contains("::")) {
        let (module, test) = name.rsplit_once("::").unwrap();
        let module = module.rsplit("::").next().unwrap();
        assert!(test.is_empty() || code.contains(&format!("fn {test}()")), "{name}");
        // Of a behaviour each test is made for every kind.
        let is_there = [format!("mod {module};"), format!("fn {module}(row: &Row)")];
        assert!(is_there.iter().any(|text| code.contains(text)), "{name}");
    }
}

/// The documents of a stream of YAML.
fn manifests(path: &str) -> Vec<serde_json::Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap()
}

fn words(list: &serde_json::Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// What a rule gives, as the table of rights says it.
fn right(role: &str, rule: &serde_json::Value) -> String {
    let kinds = || definitions().into_iter().filter(|crd| crd.spec.scope == "Namespaced");
    let all = |suffix| sorted(kinds().map(|crd| crd.spec.names.plural + suffix));
    let resources = match sorted(words(&rule["resources"])) {
        kinds if kinds == all("") => "every kind".to_owned(),
        statuses if statuses == all("/status") => "every kind/status".to_owned(),
        others => format!("{} {}", others.join(", "), words(&rule["resourceNames"]).join(", ")),
    };
    let group = words(&rule["apiGroups"]).join(", ");
    let group = if group.is_empty() { "core" } else { &group };
    format!("{role} | {group} | {} | {}", resources.trim(), words(&rule["verbs"]).join(", "))
}

#[test]
fn the_rights_in_kubernetes_are_those_of_the_manifest() {
    let rows = table(&read("docs/security.md"), "## Rights in Kubernetes").into_iter().map(|row| {
        assert!(row.len() == 5 && !row[4].is_empty(), "{row:?} says why");
        row[..4].join(" | ")
    });
    let roles = manifests("charts/install.yaml").into_iter().filter(|object| {
        // The others are for people.
        matches!(object["kind"].as_str(), Some("Role" | "ClusterRole"))
            && matches!(
                object["metadata"]["name"].as_str(),
                Some("zitadel-operator" | "zitadel-operator-secret-reader")
            )
    });
    let given = roles.flat_map(|role| {
        let name =
            format!("{} {}", role["kind"].as_str().unwrap(), role["metadata"]["name"].as_str().unwrap());
        let rules = role["rules"].as_array().cloned().unwrap();
        rules.into_iter().map(move |rule| right(&name, &rule)).collect::<Vec<_>>()
    });
    assert_eq!(sorted(rows), sorted(given));
}

#[test]
fn the_flags_that_documents_name_are_there() {
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_zitadel-operator")).args(["run", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for document in ["docs/security.md", "docs/connections.md"] {
        let text = read(document);
        let code = text.split('`').skip(1).step_by(2);
        for flag in code.filter(|code| code.starts_with("--") && !code.contains(' ')) {
            assert!(help.contains(&format!("{flag} ")), "{document} has {flag}");
        }
    }
}

#[test]
fn the_image_and_the_workflows_use_the_versions_that_the_tests_use() {
    let version = |path: &str, prefix: &str| {
        let text = read(path);
        let found = text.lines().find_map(|line| line.trim().strip_prefix(prefix));
        found.and_then(|rest| rest.split(['"', ' ', '-']).next()).unwrap().to_owned()
    };
    let rust = version("Cargo.toml", "rust-version = \"");
    assert_eq!(version("Dockerfile", "FROM rust:"), rust);
    assert_eq!(version(".github/workflows/ci.yml", "RUSTUP_TOOLCHAIN: \""), rust);
    let helm = version("tests/support/control-plane/go.mod", "helm.sh/helm/v4 ");
    let release = read(".github/workflows/release.yml");
    for step in release.split("uses: azure/setup-helm").skip(1) {
        assert!(step.split("version: ").nth(1).unwrap().starts_with(&format!("{helm}\n")), "{helm}");
    }
}

#[test]
fn the_image_is_built_with_the_revision_that_the_metrics_tell() {
    let metrics = read("src/engine/metrics/counters.rs");
    let variable = metrics.split("option_env!(\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let dockerfile = read("Dockerfile");
    let build = dockerfile.split("\nFROM ").nth(1).unwrap();
    let (before, command) = build.split_once("\nRUN --mount").unwrap();
    assert!(before.contains("\nARG REVISION=unknown\n"), "{build}");
    assert!(command.contains(&format!(" {variable}=\"$REVISION\" cargo ")), "{build}");
    assert!(read(".github/workflows/release.yml").contains("  REVISION=${{ github.sha }}\n"));
}
