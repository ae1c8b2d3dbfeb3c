"""The subject: YOLOv5's structure, its weights and its checkpoints."""
