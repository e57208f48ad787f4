"""Each setting with a function that shows its effect, and the page that lists them."""
