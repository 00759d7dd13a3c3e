//! What each column of a file is for, from its header and the settings.

use super::TableSpec;
use super::source::refuse;
use super::wording::{counted, nearest, shown};
use crate::error::Failure;

/// What one column of the file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// This part of the id; 0 where it has only one.
    Id(usize),
    /// This label of the spec's list; 0 where there is only one.
    Label(usize),
    Split,
    Feature,
    Unused,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Id(_) => "id",
            Self::Label(_) => "label",
            Self::Split => "split",
            Self::Feature => "feature",
            Self::Unused => "left out",
        }
    }
}

/// Checks a header by itself: every column has a name of its own.
pub(super) fn check_header(file: &str, header: &[String]) -> Result<(), Failure> {
    for (i, name) in header.iter().enumerate() {
        if name.is_empty() {
            return Err(refuse(file, 308, format!("column {} has no name", i + 1))
                .hint("name it or remove it; data-frame tools write their row index so"));
        }
        if let Some(earlier) = header.iter().take(i).position(|other| other == name) {
            return Err(refuse(file, 307, format!("columns {} and {} are both named {}", earlier + 1, i + 1, shown(name)))
                .hint("rename one of them"));
        }
    }
    Ok(())
}

/// Finds what each column is for.
pub(super) fn roles(file: &str, header: &[String], spec: &TableSpec) -> Result<Vec<Role>, Failure> {
    let labels: Vec<&String> = spec.labels().filter(|_| !spec.ids_only).collect();
    let split = spec.split.as_ref().filter(|_| !spec.ids_only);
    let ids: Vec<&String> = spec.key_columns().collect();
    let wanted = ids.iter().map(|id| (304, "id", Some(*id))).chain(labels.iter().map(|label| (305, "label", Some(*label))));
    let wanted = wanted.chain([(346, "channel", spec.channel.as_ref().filter(|_| !spec.ids_only))]);
    let wanted = wanted.chain([(306, "split", split)]);
    for (number, role, name) in wanted {
        let Some(name) = name.filter(|name| !header.contains(name)) else { continue };
        // Other names are shown only when near: in a file without a header the first line holds data.
        let near = nearest(name, header.iter().map(String::as_str));
        let hint = near.map_or_else(
            || {
                let delimiters = "; fields may be parted by comma, semicolon, tab or bar";
                let delimiters = if header.len() == 1 { delimiters } else { "" };
                format!("name the {role} column of this file; its first line must be the header{delimiters}")
            },
            |near| format!("did you mean {}?", shown(near)),
        );
        let what = format!("the file has no {role} column {} among its {}", shown(name), counted(header.len() as u64, "column", "columns"));
        return Err(refuse(file, number, what).hint(hint));
    }
    check_header(file, header)?;
    let roles = header.iter().map(|name| {
        if let Some(part) = ids.iter().position(|id| *id == name) {
            Role::Id(part)
        } else if let Some(place) = labels.iter().position(|label| *label == name) {
            Role::Label(place)
        } else if split == Some(name) {
            Role::Split
        } else if spec.channel.as_ref() == Some(name) && !spec.ids_only {
            Role::Feature
        } else if spec.ids_only || spec.exclude.contains(name) || spec.only.as_ref().is_some_and(|only| !only.contains(name)) {
            Role::Unused
        } else {
            Role::Feature
        }
    });
    let roles: Vec<Role> = roles.collect();
    // A label can be learned from the partner's columns alone.
    if labels.is_empty() && !roles.contains(&Role::Feature) && !spec.ids_only && spec.only.is_none() {
        return Err(refuse(file, 309, "the file has no feature columns").hint(
            "without a label it needs at least one column besides the id and excluded ones: the other side has nothing to learn from it",
        ));
    }
    Ok(roles)
}
