//! Writes, and what of their answers is read.

use jiff::Timestamp;

use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::{Created, Details, Written};
use crate::zitadel::error::Error;

impl Client {
    /// A create of an object that has an id of its own.
    pub(crate) async fn create(&self, call: &Call) -> Result<Created, Error> {
        let created: Created = self.call(call).await?.value;
        match created.id.as_str() {
            "" => Err(Error::malformed(200, "it holds no id")),
            _ => Ok(created),
        }
    }

    /// Any other write.
    pub(crate) async fn write(&self, call: &Call) -> Result<Details, Error> {
        Ok(self.call::<Written>(call).await?.value.details)
    }
}

impl Details {
    /// Takes sequence and date of a write; `false`: "it is so already", which brings none and is seen by a read only.
    ///
    /// # Errors
    /// That of the write, but for [`Error::Unchanged`].
    pub fn take(&mut self, outcome: Result<Self, Error>) -> Result<bool, Error> {
        match outcome {
            Ok(write) => {
                self.change_date = write.date().or(self.change_date);
                self.sequence = write.sequence;
                Ok(true)
            }
            Err(Error::Unchanged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The one date of a write (contract §0.14). Some call it that of a creation (the rename of an organization).
    pub fn date(&self) -> Option<Timestamp> {
        self.change_date.or(self.creation_date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_date_of_a_write_is_that_of_the_change() {
        let at = |second| jiff::Timestamp::from_second(second).ok();
        let before = Details { creation_date: at(1), change_date: at(2), ..Default::default() };
        for (change_date, creation_date, expected) in
            [(at(3), None, at(3)), (None, at(3), at(3)), (None, None, at(2))]
        {
            let mut details = before.clone();
            details.take(Ok(Details { change_date, creation_date, ..Default::default() })).unwrap();
            assert_eq!((details.creation_date, details.change_date), (at(1), expected));
        }
    }
}
