-- What has happened to a mapping's record since it was linked (payments, the time of its void), as JSON by name.
ALTER TABLE mappings ADD COLUMN notes TEXT COLLATE "C";
