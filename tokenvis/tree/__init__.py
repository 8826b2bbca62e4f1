"""Tree: how spans belong together: parents, links, nesting, callees, instances, states, and what counts once along the tree."""
