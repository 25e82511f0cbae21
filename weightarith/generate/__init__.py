"""Training data made by a model: the paper's recipe of questions, system prompts, samples and a filter."""
