"""Pictures of results and of angles (matplotlib, extra ``plot``), and a page to look at them."""
