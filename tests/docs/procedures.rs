//! The scripts of the documents do what the documents say.

use support::zitadel::State;
use zitadel_operator::kinds::registry;

use crate::links::blocks;
use crate::scene::{Cluster, Scene};
use crate::{read, sorted};

/// What the resources of the examples own in ZITADEL.
type Owned = (Vec<String>, Vec<String>, bool);

/// Observe, then take over, every project of an organization (docs/adopting.md).
#[track_caller]
pub fn many_are_adopted_at_once(scene: &Scene) {
    let organization = scene.zitadel.create_organization("initech").id;
    let create = |n: u8| scene.zitadel.create_project(&organization, &format!("Number {n}"));
    let ids: Vec<String> = (0..3).map(create).collect();
    let grant = r#"[{"op":"add","path":"/spec/access/0/organizations/-","value":{"name":"initech"}}]"#;
    scene.cluster.printed(&format!("kubectl patch zcconn default --type=json -p '{grant}'"));
    let directory = std::env::temp_dir().join(format!("documents-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let run = |script: &str| {
        let mut shell = scene.cluster.shell(script, &directory);
        shell.env("ZITADEL", scene.zitadel.url()).env("TOKEN", scene.zitadel.admin_token());
        let output = shell.env("ORG", &organization).env("NAMESPACE", "shop").output().unwrap();
        assert!(output.status.success(), "{script}\n{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    blocks("docs/adopting.md", "sh").iter().for_each(|script| drop(run(script)));
    let policies = "kubectl get -f projects.json -o jsonpath='{.items[*].status.deletionPolicy}'";
    assert_eq!(run(policies), "Retain Retain Retain");
    run("kubectl delete --timeout=60s -f projects.json");
    let is_there =
        |id: &String| scene.zitadel.project(id).is_some_and(|project| project.state == State::Active);
    assert!(ids.iter().all(is_there));
    std::fs::remove_dir_all(directory).unwrap();
}

pub fn owned(scene: &Scene) -> Owned {
    let (zitadel, acme) = (&scene.zitadel, scene.organization.as_str());
    let projects = zitadel.projects(acme).into_iter().filter(|project| project.state != State::Removed);
    let projects = projects.map(|project| project.settings.name).collect();
    let keys = zitadel.metadata(acme).into_keys().collect();
    (projects, keys, zitadel.domain_policy(acme).is_some())
}

/// After the commands of docs/uninstall.md: the resources go, and ZITADEL is as it was.
#[track_caller]
pub fn what_is_retained_stays(scene: &Scene, before: &Owned) {
    let text = read("docs/uninstall.md");
    let delete = text.lines().find(|line| line.contains(" -A --all")).unwrap();
    scene.cluster.printed(&format!("{delete} --timeout=60s"));
    let kinds = delete.split_whitespace().nth(2).unwrap();
    let all =
        registry().into_iter().map(|entry| (entry.definition)().spec.names.short_names.unwrap().remove(0));
    assert_eq!(sorted(kinds.split(',').map(str::to_owned)), sorted(all));
    assert_eq!(text.matches(kinds).count(), text.matches("zorg,").count());
    assert_eq!(scene.cluster.printed(&format!("kubectl get {kinds} -A -o name")), "");
    assert!(before.0.len() > 4 && before.1.len() == 4 && before.2, "{before:?}");
    assert_eq!(owned(scene), *before);
}

/// The script of docs/uninstall.md for what is left when nobody takes finalizers off.
#[track_caller]
pub fn without_an_operator_finalizers_can_be_taken_off(cluster: &Cluster) {
    let finalized =
        r#"metadata: {name: left, namespace: shop, finalizers: [zitadel-operator.dev/finalizer]}"#;
    let group = "apiVersion: zitadel-operator.dev/v1alpha1";
    cluster.apply(&format!("{group}\nkind: Project\n{finalized}\nspec: {{}}\n"), &[]);
    let kept = format!("{group}\nkind: Project\n{}\nspec: {{}}\n", finalized.replace("left", "kept"));
    cluster.apply(&kept, &[]);
    cluster.printed("kubectl delete zproj left -n shop --wait=false");
    cluster.printed("kubectl delete zcconn default --wait=false");
    for script in blocks("docs/uninstall.md", "sh") {
        cluster.printed(&script);
    }
    assert_eq!(cluster.printed("kubectl get zproj -n shop -o name"), "project.zitadel-operator.dev/kept\n");
    assert_eq!(cluster.printed("kubectl get zcconn -o name"), "");
}
