"""Training data: COCO data sets, the films in them, augmentation, splits by patient."""
