//! What a person can do with the examples.

use super::cluster::Cluster;
use super::examples::NAMESPACE;
use super::zitadel::{Prepared, Zitadel};

/// Everything to try, as commands to paste.
pub fn welcome(cluster: &Cluster<'_>, zitadel: &Zitadel, prepared: &Prepared) -> String {
    let (kubeconfig, bin) = cluster.paths();
    let (kubeconfig, bin) = (kubeconfig.display(), bin.display());
    let (projects, others) = (with_projects(zitadel, prepared), with_organizations(zitadel, prepared));
    format!(
        r#"
The examples are applied. In another terminal:

  export KUBECONFIG={kubeconfig}
  export PATH={bin}:$PATH

Look:
  kubectl get zitadel -A                        # everything; -o wide shows the messages
  kubectl describe zproj -n {NAMESPACE} web
  kubectl explain zproj.spec
{projects}{others}
OrgFeatures "acme" is Unsupported, as it should be: no released ZITADEL implements feature flags of organizations. The
operator asks again in hours, goes on by itself once yours does, and lets the resource be deleted until then.

Ctrl-C ends everything here. The table below is printed again when it changes."#
    )
}

fn with_projects(zitadel: &Zitadel, prepared: &Prepared) -> String {
    let (Zitadel { url, shown_token, .. }, organization) = (zitadel, &prepared.organization);
    format!(
        r#"Rename a project, here and in ZITADEL:
  kubectl patch zproj -n {NAMESPACE} web --type merge -p '{{"spec":{{"name":"Web shop"}}}}'
Change it in ZITADEL behind the operator's back; it is put right within 30 s, and an event names the field:
  ID=$(kubectl get zproj -n {NAMESPACE} web -o jsonpath='{{.status.id}}')
  curl -X PUT {url}/management/v1/projects/$ID -H "Authorization: Bearer {shown_token}" \
    -H 'x-zitadel-orgid: {organization}' -H 'Content-Type: application/json' -d '{{"name":"Changed by hand"}}'
  kubectl get events -n {NAMESPACE} --field-selector reason=DriftReverted
Not to wait for that:
  kubectl annotate zproj -n {NAMESPACE} web zitadel-operator.dev/reconcile-requested-at="$(date)" --overwrite
Let the operator stand back, and take over again:
  kubectl annotate zproj -n {NAMESPACE} web zitadel-operator.dev/paused=true
  kubectl annotate zproj -n {NAMESPACE} web zitadel-operator.dev/paused-
Make a mistake, read in the table what it says about it, and correct it:
  kubectl patch zproj -n {NAMESPACE} archive --type merge -p '{{"spec":{{"name":"Storefront"}}}}'
  kubectl patch zproj -n {NAMESPACE} archive --type merge -p '{{"spec":{{"name":"Archive"}}}}'
Remove a project, in ZITADEL too:
  kubectl delete zproj -n {NAMESPACE} web
"#
    )
}

fn with_organizations(zitadel: &Zitadel, prepared: &Prepared) -> String {
    let (Zitadel { url, shown_token, .. }, organization) = (zitadel, &prepared.organization);
    format!(
        r#"Change a Secret; its new value is in ZITADEL within 30 s, or at once where that is asked for:
  kubectl patch secret -n {NAMESPACE} billing -p '{{"stringData":{{"id":"cus_42"}}}}'
  kubectl annotate zorgmeta -n {NAMESPACE} acme zitadel-operator.dev/reconcile-requested-at="$(date)" --overwrite
  curl {url}/management/v1/metadata/billing -H "Authorization: Bearer {shown_token}" \
    -H 'x-zitadel-orgid: {organization}'       # in base64
Delete an organization that somebody lives in, read what it waits for, and let it go:
  kubectl patch zorg -n {NAMESPACE} globex --type merge -p '{{"spec":{{"deletionPolicy":"Delete"}}}}'
  kubectl delete zorg -n {NAMESPACE} globex --wait=false
  kubectl delete zproj -n {NAMESPACE} intranet
Take a domain policy away; the instance's default is in force again:
  kubectl get zorgdom -n {NAMESPACE} acme -o jsonpath='{{.status.effective}}'
  kubectl delete zorgdom -n {NAMESPACE} acme
  curl {url}/management/v1/policies/domain -H "Authorization: Bearer {shown_token}" \
    -H 'x-zitadel-orgid: {organization}'
"#
    )
}
