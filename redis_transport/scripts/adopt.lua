-- Takes over the dead letters of releases that kept them under another key. No arguments, no answer.
adopt_old_dead_letters()
