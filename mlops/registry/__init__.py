"""The record of experiments and versions: MLflow tracking, the model registry, receipts."""
