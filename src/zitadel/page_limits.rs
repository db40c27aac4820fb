//! How large the pages of each organization's metadata may be.

use std::collections::HashMap;

use parking_lot::Mutex;

/// The most entries a page, by the limits of v4.19.5.
pub(crate) const LONGEST_PAGE: usize = 1000;
/// Of so many organizations the length of a page is remembered: there may be any number.
pub(crate) const MOST_LIMITS: usize = 1000;

/// How long the first page of an organization's list may be: values that were too large once are so at every resync.
#[derive(Default)]
pub(crate) struct PageLimits(Mutex<HashMap<String, usize>>);

impl PageLimits {
    pub(crate) fn of(&self, organization: &str) -> usize {
        let limits = self.0.lock();
        limits.get(organization).copied().unwrap_or(LONGEST_PAGE)
    }

    pub(crate) fn remember(&self, organization: &str, limit: usize) {
        let mut limits = self.0.lock();
        match limit {
            LONGEST_PAGE => drop(limits.remove(organization)),
            limit => {
                if limits.len() >= MOST_LIMITS && !limits.contains_key(organization) {
                    // Whoever is forgotten is read anew from the longest page.
                    limits.clear();
                }
                limits.insert(organization.into(), limit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_number_of_organizations_so_many_pages_are_remembered() {
        let limits = PageLimits::default();
        (0..3 * MOST_LIMITS).for_each(|number| limits.remember(&number.to_string(), 10));
        assert!(limits.0.lock().len() <= MOST_LIMITS);
        assert_eq!((limits.of("2999"), limits.of("0")), (10, LONGEST_PAGE));
    }
}
