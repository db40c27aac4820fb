//! The permissions of each role, as the server's `/auth/v1/permissions/zitadel/me/_search` lists them.

const ORGANIZATION_OWNER: &str = "\
    org.read org.global.read org.write org.delete org.member.read org.member.write org.member.delete \
    org.idp.read org.idp.write org.idp.delete org.action.read org.action.write org.action.delete \
    org.flow.read org.flow.write org.flow.delete org.feature.read org.feature.write org.feature.delete \
    user.read user.global.read user.write user.delete user.grant.read user.grant.write \
    user.grant.delete user.membership.read user.credential.write user.passkey.write user.feature.read \
    user.feature.write user.feature.delete policy.read policy.write policy.delete project.read \
    project.create project.write project.delete project.member.read project.member.write \
    project.member.delete project.role.read project.role.write project.role.delete project.app.read \
    project.app.write project.grant.read project.grant.write project.grant.delete \
    project.grant.member.read project.grant.member.write project.grant.member.delete session.read \
    session.delete group.create group.write group.read group.delete group.user.write group.user.read \
    group.user.delete";

const ORGANIZATION_VIEWER: &str = "\
    org.read org.member.read org.idp.read org.action.read org.flow.read org.feature.read user.read \
    user.global.read user.grant.read user.membership.read user.feature.read policy.read project.read \
    project.member.read project.role.read project.app.read project.grant.read project.grant.member.read \
    project.grant.user.grant.read group.read group.user.read";

const PROJECT_CREATOR: &str = "\
    user.global.read policy.read project.read:self project.create";

const INSTANCE_OWNER: &str = "\
    iam.read iam.write iam.policy.read iam.policy.write iam.policy.delete iam.member.read \
    iam.member.write iam.member.delete iam.feature.read iam.feature.write iam.feature.delete org.create \
    events.read";

const INSTANCE_VIEWER: &str = "\
    iam.read iam.policy.read iam.member.read iam.feature.read events.read";

/// Permissions of a role, none for a role that the double does not know.
pub(super) fn permissions(role: &str) -> impl Iterator<Item = &'static str> {
    let (own, inherited) = match role {
        "IAM_OWNER" => (INSTANCE_OWNER, ORGANIZATION_OWNER),
        "IAM_OWNER_VIEWER" => (INSTANCE_VIEWER, ORGANIZATION_VIEWER),
        "ORG_OWNER" => (ORGANIZATION_OWNER, ""),
        "ORG_OWNER_VIEWER" => (ORGANIZATION_VIEWER, ""),
        "ORG_PROJECT_CREATOR" => (PROJECT_CREATOR, ""),
        _ => ("", ""),
    };
    own.split_whitespace().chain(inherited.split_whitespace())
}
