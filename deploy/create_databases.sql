-- PostgreSQL makes Mage's database itself (POSTGRES_DB); MLflow keeps its own.
CREATE DATABASE mlflow;
