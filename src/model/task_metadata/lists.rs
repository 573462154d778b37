//! Lists and maps of the documents, which are bounded, counted or summed while they are parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{BlkioEntry, BlkioTotals, InterfaceStats, InterfaceTotals, MAX_CONTAINERS, Sum};
use crate::model::json::{JsonStr, wrong_type};
use crate::model::json_fields;

/// The first elements of a list; null is an empty list.
#[derive(Clone, Debug)]
pub struct BoundedList<T> {
    /// At most [`MAX_CONTAINERS`].
    pub items: Vec<T>,
    /// Number of elements after these.
    pub ignored: u64,
}

/// The first entries of a map, at most [`MAX_CONTAINERS`]; null is an empty map.
#[derive(Debug)]
pub(super) struct BoundedMap<'a, V>(pub(super) BTreeMap<JsonStr<'a>, V>);

/// Number of elements of a list of integers; null is an empty list.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListLength(pub u64);

/// Value that is read from the elements of a list, one after the other.
trait FromElements<'de>: Default {
    fn read<A: SeqAccess<'de>>(&mut self, elements: A) -> Result<(), A::Error>;
}

/// Value that is read from the entries of a map, one after the other.
trait FromEntries<'de>: Default {
    fn read<A: MapAccess<'de>>(&mut self, entries: A) -> Result<(), A::Error>;
}

impl<T> Default for BoundedList<T> {
    fn default() -> Self {
        Self { items: Vec::new(), ignored: 0 }
    }
}

impl<V> Default for BoundedMap<'_, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> FromElements<'de> for BoundedList<T> {
    fn read<A: SeqAccess<'de>>(&mut self, mut elements: A) -> Result<(), A::Error> {
        while self.items.len() < MAX_CONTAINERS {
            let Some(item) = elements.next_element()? else { return Ok(()) };
            self.items.push(item);
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {
            self.ignored += 1;
        }
        Ok(())
    }
}

impl<'de> FromElements<'de> for ListLength {
    fn read<A: SeqAccess<'de>>(&mut self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {
            self.0 += 1;
        }
        Ok(())
    }
}

impl<'de> FromElements<'de> for BlkioTotals {
    fn read<A: SeqAccess<'de>>(&mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(Known(entry)) = elements.next_element::<Known<BlkioEntry<'de>>>()? {
            self.add(&entry.unwrap_or_default());
        }
        Ok(())
    }
}

impl BlkioTotals {
    fn add(&mut self, entry: &BlkioEntry<'_>) {
        let value = entry.value;
        let (all, capitalized): (&mut Sum, Option<&mut Sum>) = match &*entry.op {
            "Read" => (&mut self.read, Some(&mut self.capitalized_read)),
            "Write" => (&mut self.write, Some(&mut self.capitalized_write)),
            // An entry that cannot be read may be of any operation.
            "" => {
                self.read.has_unknown = true;
                self.write.has_unknown = true;
                return;
            }
            op if op.eq_ignore_ascii_case("read") => (&mut self.read, None),
            op if op.eq_ignore_ascii_case("write") => (&mut self.write, None),
            _ => return,
        };
        all.add(value);
        if let Some(sum) = capitalized {
            sum.add(value);
        }
    }
}

impl<'de> FromEntries<'de> for InterfaceTotals {
    fn read<A: MapAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some((_, Known(interface))) = entries.next_entry::<IgnoredAny, Known<InterfaceStats>>()? {
            self.add(&interface.unwrap_or_default());
        }
        Ok(())
    }
}

impl InterfaceTotals {
    fn add(&mut self, interface: &InterfaceStats) {
        for (sum, value) in [
            (&mut self.rx_bytes, interface.rx_bytes),
            (&mut self.rx_packets, interface.rx_packets),
            (&mut self.rx_errors, interface.rx_errors),
            (&mut self.rx_dropped, interface.rx_dropped),
            (&mut self.tx_bytes, interface.tx_bytes),
            (&mut self.tx_packets, interface.tx_packets),
            (&mut self.tx_errors, interface.tx_errors),
            (&mut self.tx_dropped, interface.tx_dropped),
        ] {
            sum.add(value);
        }
    }
}

impl<'de, V: Deserialize<'de>> FromEntries<'de> for BoundedMap<'de, V> {
    fn read<A: MapAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while self.0.len() < MAX_CONTAINERS {
            let Some((key, value)) = entries.next_entry()? else { return Ok(()) };
            self.0.insert(key, value);
        }
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// An object; `None` if the value is of another type.
struct Known<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Known<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json_fields::object(deserializer).map(Self)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: FromElements<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<T, A::Error> {
        let mut value = T::default();
        value.read(elements)?;
        Ok(value)
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: FromEntries<'de>> Visitor<'de> for MapVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        let mut value = T::default();
        value.read(entries)?;
        Ok(value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for BoundedList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for ListLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for BlkioTotals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for InterfaceTotals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapVisitor(PhantomData))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for BoundedMap<'de, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapVisitor(PhantomData))
    }
}
