"""Pictures of results and of angles, and a page to look at them; matplotlib draws (extra ``plot``)."""
