//! An image as its bytes and its caller describe it: format and size, what is said of it, its row and its path.

pub mod columns;
pub mod header;
pub mod meta;
pub mod path;
pub mod row;
pub mod slug;
pub mod thumbnail;
