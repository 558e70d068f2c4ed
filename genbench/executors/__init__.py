"""How runs become processes: a fork server, a supervisor for each run, and the executors that hold many."""
