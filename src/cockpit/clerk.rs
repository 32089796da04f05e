//! Carries orders from the screen to the store and says back what became of them, so that nothing waits in a key handler.
