//! What a task says of itself: the task metadata endpoint v4 documents `/task` and `/task/stats`.
