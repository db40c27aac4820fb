//! Tables that follow the registry: a test holds each to it, and `UPDATE_DOCS` writes its rows.

use zitadel_operator::engine::decision::access::Right;
use zitadel_operator::engine::drivers::kind::{Permission, Verb};
use zitadel_operator::kinds::{Entry, registry};

use crate::{hold, read, sorted, table};

/// With `UPDATE_DOCS`: the rows of the first table after a heading become these, each with the cells that come after them
/// in the row that begins so, or with `otherwise`. Rows stay in the order in which they are; new ones come last.
pub fn follow(path: &str, heading: &str, rows: &[Vec<String>], otherwise: impl Fn(usize) -> String) {
    if std::env::var_os("UPDATE_DOCS").is_none() {
        return;
    }
    let text = read(path);
    let start = text.find(heading).unwrap();
    let line = start + text[start..].find("\n|---").unwrap() + 1;
    let body = line + text[line..].find('\n').unwrap() + 1;
    let old: Vec<&str> = text[body..].lines().take_while(|line| line.starts_with('|')).collect();
    let end = body + old.iter().map(|line| line.len() + 1).sum::<usize>();
    let place = |begins: &str| old.iter().position(|row| row.starts_with(begins));
    let mut placed: Vec<(usize, String)> = rows
        .iter()
        .enumerate()
        .map(|(number, cells)| {
            let begins = format!("| {} |", cells.join(" | "));
            let kept = place(&begins).map(|at| old[at].to_owned());
            let rest = otherwise(number);
            let new = || if rest.is_empty() { begins.clone() } else { format!("{begins} {rest} |") };
            // Beside what it had of the same kind before.
            let kind = format!("| {} |", cells[0]);
            (place(&begins).or_else(|| place(&kind)).unwrap_or(old.len()), kept.unwrap_or_else(new))
        })
        .collect();
    placed.sort_by_key(|(at, _)| *at);
    let rows: String = placed.into_iter().map(|(_, row)| row + "\n").collect();
    hold(path, &[&text[..body], &rows, &text[end..]].concat()).unwrap();
}

/// As code.
pub fn quoted(text: &str) -> String {
    format!("`{text}`")
}

#[test]
fn the_permissions_are_those_that_the_kinds_state() {
    let entries = registry();
    let of = |entry: &Entry| entry.permissions.iter().map(|p| (entry.kind, p)).collect::<Vec<_>>();
    let all: Vec<(&str, &Permission)> = entries.iter().flat_map(of).collect();
    let rows: Vec<_> =
        all.iter().map(|(kind, p)| vec![quoted(kind), quoted(p.name), p.roles.into()]).collect();
    follow("docs/permissions.md", "# Permissions", &rows, |number| {
        let why = match all[number].1.verb {
            Verb::Read => "find and read it",
            Verb::Create => "create it",
            Verb::Update => "change it",
            Verb::Delete => "remove it",
        };
        why.into()
    });
    let rows = table(&read("docs/permissions.md"), "# Permissions").into_iter().map(|row| {
        assert!(row.len() == 4 && !row[3].is_empty(), "{row:?} says why");
        row[..3].join(" | ")
    });
    let stated = all.iter().map(|(kind, p)| format!("{kind} | {} | {}", p.name, p.roles));
    assert_eq!(sorted(rows), sorted(stated));
}

/// What a kind of its shape may cost in `src/`, in lines.
const MOST_LINES: [(&str, usize); 4] =
    [("OrgDomainPolicy", 110), ("OrgLoginPolicy", 90), ("ProjectRole", 150), ("Project", 170)];

/// The lines of a kind in `src/api/` and in `src/kinds/`, without tests.
fn lines_of(kind: &str) -> [usize; 2] {
    let file = kind.char_indices().map(|(at, letter)| match letter.is_uppercase() && at > 0 {
        true => format!("_{}", letter.to_lowercase()),
        false => letter.to_lowercase().to_string(),
    });
    let file: String = file.collect();
    ["api", "kinds"].map(|folder| {
        let text = read(&format!("src/{folder}/{file}.rs"));
        text.split("\n#[cfg(test)]\n").next().unwrap().lines().count()
    })
}

/// Without tests; a page that is a quarter off misleads.
#[test]
fn the_stated_size_of_every_kind_is_about_right() {
    let kinds: Vec<_> = registry().iter().map(|entry| vec![quoted(entry.kind)]).collect();
    follow("docs/architecture.md", "Lines, without tests", &kinds, |number| {
        let [api, kind] = lines_of(registry()[number].kind);
        format!("{api} | {kind} | {}", api + kind)
    });
    let rows = table(&read("docs/architecture.md"), "Lines, without tests");
    assert_eq!(rows.len(), registry().len());
    for row in rows {
        let counted = lines_of(&row[0]);
        let stated: Vec<usize> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(stated[0] + stated[1], stated[2], "{row:?}");
        for (stated, counted) in stated.iter().zip(counted) {
            assert!(stated.abs_diff(counted) * 4 <= counted, "{row:?}: counted {counted}");
        }
        let all = counted.iter().sum::<usize>();
        println!("{}: {all} lines by hand in src/", row[0]);
        let most = MOST_LINES.iter().find(|(kind, _)| row[0] == *kind);
        assert!(most.is_none_or(|(_, most)| all <= *most), "{}: {all} lines", row[0]);
    }
}

/// One row a kind, and one an action for organizations themselves.
#[test]
fn what_a_grant_gives_is_what_the_kinds_need() {
    let needs = registry().into_iter().flat_map(|entry| {
        let row = |action: &str, needs: &str| vec![quoted(entry.kind), action.to_owned(), needs.to_owned()];
        match entry.right {
            Right::Organization => vec![row("everything", "nothing")],
            Right::Kind => vec![row("everything", "`kinds` with this kind")],
            Right::Instance => vec![row("everything", "`kinds` with this kind, and `instance`")],
            Right::OrganizationItself => vec![
                row("look at it, change it", "nothing"),
                row("create one", "`createOrganizations`"),
                row("take over one that the namespace did not create, remove it", "`deleteOrganizations`"),
            ],
        }
    });
    let needs: Vec<Vec<String>> = needs.collect();
    follow("docs/security.md", "### What a grant gives", &needs, |_| String::new());
    let rows = table(&read("docs/security.md"), "### What a grant gives").into_iter();
    let needs = needs.iter().map(|row| row.join(" | ").replace('`', ""));
    assert_eq!(sorted(rows.map(|row| row.join(" | "))), sorted(needs));
}

#[test]
fn the_role_that_suffices_for_a_kind_carries_each_of_its_permissions() {
    let stated = registry().into_iter().map(|entry| {
        let carriers =
            |roles: &str| roles.replace(" or ", ", ").split(", ").map(str::to_owned).collect::<Vec<_>>();
        let mut enough = carriers(entry.permissions[0].roles);
        enough.retain(|role| entry.permissions.iter().all(|p| carriers(p.roles).contains(role)));
        vec![quoted(entry.kind), enough.join(" or ")]
    });
    let stated: Vec<Vec<String>> = stated.collect();
    follow("docs/security.md", "## Credentials", &stated, |_| String::new());
    let rows = table(&read("docs/security.md"), "## Credentials").into_iter().map(|row| row.join(" | "));
    assert_eq!(sorted(rows), sorted(stated.iter().map(|row| row.join(" | ").replace('`', ""))));
}
