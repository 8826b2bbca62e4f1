"""Tree: how spans belong together: parents and links, nesting, callees, states, and what is counted once along the tree."""
