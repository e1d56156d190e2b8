//! What was seen of a kind, found again quickly however many there are.

/// So many keys are in one list at most: to put one in moves those behind it.
const MOST: usize = 512;

/// In order, which is 1 kB less of the module than a hash table: lists of which each goes on where the one before it ends.
#[derive(Debug)]
pub struct Seen<K>(Vec<Vec<K>>);

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord> Seen<K> {
    /// Whether it was not there before.
    pub fn add(&mut self, key: K) -> bool {
        let at = self.list_of(&key);
        let Some(list) = self.0.get_mut(at) else {
            self.0.push(vec![key]);
            return true;
        };
        let Err(place) = list.binary_search(&key) else { return false };
        list.insert(place, key);
        if list.len() > MOST {
            let rest = list.split_off(MOST / 2);
            self.0.insert(at + 1, rest);
        }
        true
    }

    /// Whether it is there.
    pub fn has(&self, key: &K) -> bool {
        self.0.get(self.list_of(key)).is_some_and(|list| list.binary_search(key).is_ok())
    }

    /// Which list it would be in.
    fn list_of(&self, key: &K) -> usize {
        self.0.partition_point(|list| list.first().is_some_and(|first| first <= key)).saturating_sub(1)
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

    #[test]
    fn more_than_one_list_holds_is_found_whatever_it_came_in() {
        let count = 10 * MOST;
        let (up, down) = (Vec::from_iter(0..count), Vec::from_iter((0..count).rev()));
        // 7919 is a prime, so that each comes once.
        let mixed = Vec::from_iter((0..count).map(|number| number * 7919 % count));
        for order in [up, down, mixed] {
            let mut seen = Seen::default();
            for key in &order {
                assert!(!seen.has(key) && seen.add(*key) && !seen.add(*key));
            }
            assert!(order.iter().all(|key| seen.has(key)) && !seen.has(&count));
            assert!(seen.0.iter().all(|list| list.len() <= MOST), "to put one in moves few others");
        }
    }
}
