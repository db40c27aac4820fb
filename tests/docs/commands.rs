//! A command to paste says whose kinds it means: `projects` alone are OpenShift's or Rancher's where they have theirs.

use std::sync::LazyLock;

use regex::Regex;

use crate::{code, documents, examples, read, repository};
use zitadel_operator::kinds::definitions;

/// A kind of ours without its group, as an argument of kubectl or as what one makes of `{.kind}`.
static BARE: LazyLock<Regex> = LazyLock::new(|| {
    let names = definitions().into_iter().map(|crd| crd.spec.names);
    let names = names.flat_map(|names| [names.plural, names.singular.unwrap()]).collect::<Vec<_>>().join("|");
    Regex::new(&format!(r"(?i)([\s,]({names})|\{{\.kind\}})([\s,/]|\.spec|\.status|$)")).unwrap()
});

/// The commands of a text, each up to the end of its line, of its quote of code, or to a comment.
fn commands(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let commands = text.lines().flat_map(|line| line.split("kubectl ").skip(1));
    commands
        .map(|command| command.split('`').next().unwrap().split(" #").next().unwrap().to_owned())
        .collect()
}

fn bare(text: &str) -> Vec<String> {
    let kinds = |command: &String| BARE.is_match(&format!(" {command}"));
    commands(text).into_iter().filter(kinds).collect()
}

#[test]
fn no_command_in_a_document_an_example_or_a_message_names_a_kind_without_its_group() {
    let documents = documents().into_iter().map(|path| path.to_str().unwrap().to_owned());
    let documents = documents.map(|path| (path.clone(), read(&path)));
    let messages = ["src", "examples"].map(|path| (path.to_owned(), code(&repository().join(path))));
    let notes = "charts/zitadel-operator/templates/NOTES.txt";
    let notes = [(notes.to_owned(), read(notes))];
    let all: Vec<(String, String)> = documents.chain(examples()).chain(messages).chain(notes).collect();
    let wrong: Vec<String> = all
        .iter()
        .flat_map(|(place, text)| bare(text).into_iter().map(move |command| format!("{place}: {command}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let counted: usize = all.iter().map(|(_, text)| commands(text).len()).sum();
    assert!(counted > 100, "{counted} commands");
}

#[test]
fn a_kind_without_its_group_is_found_wherever_it_is() {
    for command in [
        "kubectl delete projects --all",
        "kubectl delete organizations,projects -A --all",
        "say `kubectl explain project.spec`",
        "kubectl wait --for=condition=Ready \\\n  OrgFeatures/acme",
        "kubectl get zproj -o jsonpath='{range .items[*]}{.kind} {.metadata.name}{end}' | xargs kubectl patch",
        "kubectl get zproj; kubectl get clusterconnection",
    ] {
        assert_eq!(bare(command).len(), 1, "{command}");
    }
    for command in [
        "kubectl apply -f project.yaml     # the project",
        "kubectl delete projects.zitadel-operator.dev,zorg --all",
        "kubectl explain zproj.spec.connectionRef",
        "`kubectl explain zorg.spec`. There is no field `organization`",
        "kubectl get zorg -o custom-columns=KIND:.kind,NAME:.metadata.name",
        "kubectl get zproj -o jsonpath='{range .items[*]}{.kind}.zitadel-operator.dev {.metadata.name}{end}'",
    ] {
        assert_eq!(bare(command), [""; 0], "{command}");
    }
}
