//! The documents say what the code does.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use zitadel_operator::api::{Reason, crd};
use zitadel_operator::kinds::registry;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// The Markdown files of a directory, as paths from the repository.
fn documents(directory: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(repository().join(directory)).unwrap();
    let names = files.map(|file| Path::new(directory).join(file.unwrap().file_name()));
    names.filter(|name| name.extension().is_some_and(|extension| extension == "md")).collect()
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

#[test]
fn the_readme_has_a_row_for_every_reason_and_for_no_other() {
    let rows = table(&read("README.md"), "## Conditions").into_iter().map(|row| row[0].clone());
    assert_eq!(sorted(rows), sorted(Reason::ALL.iter().map(|reason| reason.as_str().to_owned())));
}

#[test]
fn the_readme_has_a_row_for_every_kind_with_its_short_name_and_its_page() {
    let rows = table(&read("README.md"), "## Kinds").into_iter().map(|row| (row[0].clone(), row[1].clone()));
    let rows = rows.map(|(link, short)| {
        let (kind, page) = link.trim_start_matches('[').split_once("](docs/").unwrap();
        assert!(
            read(&format!("docs/{}", page.trim_end_matches(')'))).contains(&format!("`{kind}`")),
            "{page}"
        );
        (kind.to_owned(), short)
    });
    let names = crd::all().into_iter().map(|crd| crd.spec.names);
    let kinds = names.map(|names| (names.kind, names.short_names.unwrap().remove(0)));
    assert_eq!(sorted(rows), sorted(kinds));
}

#[test]
fn the_page_of_a_kind_names_every_field_of_its_spec() {
    for definition in crd::all() {
        let kind = definition.spec.names.kind;
        let rows = table(&read("README.md"), "## Kinds");
        let row = rows.iter().find(|row| row[0].starts_with(&format!("[{kind}]"))).unwrap();
        let page = row[0].split_once("](").unwrap().1.trim_end_matches(')');
        let schema = definition.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        let spec = schema.properties.unwrap().remove("spec").unwrap().properties.unwrap();
        let features = spec.get("features").and_then(|features| features.properties.clone());
        for field in spec.keys().chain(features.iter().flat_map(|features| features.keys())) {
            assert!(read(page).contains(&format!("`{field}`")), "{page} says nothing of {field}");
        }
    }
}

#[test]
fn the_readme_lists_every_example() {
    let readme = read("README.md");
    for example in std::fs::read_dir(repository().join("examples")).unwrap() {
        let name = example.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".yaml") || readme.contains(&format!("(examples/{name})")), "{name}");
    }
}

#[test]
fn the_permissions_are_those_that_the_kinds_state() {
    let rows = table(&read("docs/permissions.md"), "# Permissions").into_iter().map(|row| {
        assert!(row.len() == 4 && !row[3].is_empty(), "{row:?} says why");
        row[..3].join(" | ")
    });
    let stated = registry().into_iter().flat_map(|entry| {
        let row = move |p: &zitadel_operator::engine::kind::Permission| {
            format!("{} | {} | {}", entry.kind, p.name, p.roles)
        };
        entry.permissions.iter().map(row)
    });
    assert_eq!(sorted(rows), sorted(stated));
}

/// Without tests; a page that is a quarter off misleads.
#[test]
fn the_stated_size_of_every_kind_is_about_right() {
    let lines = |path: &str| read(path).split("\n#[cfg(test)]\n").next().unwrap().lines().count();
    let rows = table(&read("docs/architecture.md"), "Lines, without tests");
    assert_eq!(rows.len(), registry().len());
    for row in rows {
        let file = row[0].char_indices().map(|(at, letter)| match letter.is_uppercase() && at > 0 {
            true => format!("_{}", letter.to_lowercase()),
            false => letter.to_lowercase().to_string(),
        });
        let file: String = file.collect();
        let counted = [lines(&format!("src/api/{file}.rs")), lines(&format!("src/kinds/{file}.rs"))];
        let stated: Vec<usize> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(stated[0] + stated[1], stated[2], "{row:?}");
        for (stated, counted) in stated.iter().zip(counted) {
            assert!(stated.abs_diff(counted) * 4 <= counted, "{row:?}: counted {counted}");
        }
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    for document in ["", "docs", "charts/zitadel-operator"].into_iter().flat_map(documents) {
        let text = read(document.to_str().unwrap());
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            assert!(repository().join(&target).exists(), "{document:?} links to {link}");
            let has = |anchor: &str| read(target.to_str().unwrap()).lines().any(|line| names(line, anchor));
            assert!(anchor.is_empty() || has(anchor), "{document:?} links to {link}");
        }
    }
}

/// Is the line the heading that this anchor stands for?
fn names(line: &str, anchor: &str) -> bool {
    let heading = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim().to_lowercase());
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-');
    heading
        .is_some_and(|heading| heading.chars().filter(kept).collect::<String>().replace(' ', "-") == anchor)
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
    let rows = table(&read("docs/reliability.md"), "## Mutants").into_iter();
    let listed = rows.map(|row| (row[0].clone(), row[1].clone()));
    let present = mutants().into_iter().map(|(path, defect, command)| {
        let name = path.trim_start_matches("tests/mutants/").trim_end_matches(".patch");
        (format!("{defect} ([{name}](../{path}))").replace('`', ""), command)
    });
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
    let faults: Vec<String> = (1..=20).map(|number| format!("F{number}")).collect();
    assert_eq!(rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), faults);
    let code = code(&repository().join("src")) + &code(&repository().join("tests"));
    let section = text.split("## Fault matrix").nth(1).unwrap().split("\n## ").next().unwrap();
    let quoted = section.split('`').skip(1).step_by(2);
    for name in quoted.filter(|quoted| quoted.contains("::")) {
        let (module, test) = name.rsplit_once("::").unwrap();
        let module = module.rsplit("::").next().unwrap();
        assert!(test.is_empty() || code.contains(&format!("fn {test}()")), "{name}");
        assert!(code.contains(&format!("mod {module};")), "{name}");
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
    let kinds = || crd::all().into_iter().filter(|crd| crd.spec.scope == "Namespaced");
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
fn the_role_that_suffices_for_a_kind_carries_each_of_its_permissions() {
    let rows = table(&read("docs/security.md"), "## Credentials").into_iter().map(|row| row.join(" | "));
    let stated = registry().into_iter().map(|entry| {
        let carriers =
            |roles: &str| roles.replace(" or ", ", ").split(", ").map(str::to_owned).collect::<Vec<_>>();
        let mut enough = carriers(entry.permissions[0].roles);
        enough.retain(|role| entry.permissions.iter().all(|p| carriers(p.roles).contains(role)));
        format!("{} | {}", entry.kind, enough.join(" or "))
    });
    assert_eq!(sorted(rows), sorted(stated));
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
