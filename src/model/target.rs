//! Where something can be scraped, and what ECS says of the task that stands behind it.
