"""Hand-over of `page` alerts to the systems that wake people: what to tell, when, and to whom."""
