"""What train and distill report after each epoch."""

import mlflow


def report_epoch(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
    """Log and print the metrics of one epoch."""
    mlflow.log_metrics(metrics, step=epoch)
    print(
        f"epoch {epoch}/{epochs}: loss {metrics['loss']:.4g}, MAP@R {metrics['map_at_r']:.3f} and "
        f"precision@1 {metrics['precision_at_1']:.3f} on unseen characters, {metrics['pictures_per_second']:.0f} pictures/s",
        flush=True,
    )


def report_kept_epoch(epoch: int) -> None:
    """Log and print which epoch's encoder was kept."""
    mlflow.log_metric("best_epoch", epoch)
    print(f"kept epoch {epoch}: the best by MAP@R on unseen characters, or the last one if none of them has two heads")
