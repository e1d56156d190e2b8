//! What was seen of a kind, found again quickly however many there are.

/// In order, which is 1 kB less of the module than a hash table.
#[derive(Debug)]
pub struct Seen<K>(Vec<K>);

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord> Seen<K> {
    /// Whether it was not there before.
    pub fn add(&mut self, key: K) -> bool {
        match self.0.binary_search(&key) {
            Ok(_) => false,
            Err(place) => {
                self.0.insert(place, key);
                true
            }
        }
    }

    /// Whether it is there.
    pub fn has(&self, key: &K) -> bool {
        self.0.binary_search(key).is_ok()
    }
}

impl<K: Ord> Extend<K> for Seen<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.add(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use core::cmp::Ordering;

    use super::*;

    thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// A path that counts how often it is compared.
    #[derive(Eq)]
    struct Counted(usize);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            LOOKS.set(LOOKS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    #[test]
    fn twice_as_many_images_are_not_looked_through_four_times_as_long() {
        let looks = |count: usize| {
            LOOKS.set(0);
            let mut seen = Seen::default();
            for number in 0..count {
                assert!(seen.add(Counted(number)));
                assert!(number == 0 || !seen.add(Counted(number / 2)), "one that is there is found");
            }
            LOOKS.get()
        };
        let (some, twice_as_many) = (looks(20_000), looks(40_000));
        assert!(twice_as_many as f64 <= 2.5 * some as f64, "{some} and {twice_as_many}");
    }

    #[test]
    fn what_came_in_any_order_is_found_and_nothing_else() {
        let mut seen = Seen::default();
        seen.extend([5, 1, 9, 1]);
        assert!([1, 5, 9].iter().all(|key| seen.has(key)));
        assert!(![0, 2, 10].iter().any(|key| seen.has(key)));
        assert!(seen.add(2) && !seen.add(2));
    }
}
