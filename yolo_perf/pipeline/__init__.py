"""The way of an image: load, preprocess, (infer), postprocess."""
