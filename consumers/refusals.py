"""Why a broker did not let this worker into its group, as a sentence that names the setting. Pure."""

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidSessionTimeoutError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from consumers.settings import WorkerSettings


def why_refused(error: KafkaError, settings: WorkerSettings) -> str:
    """Say what to change so that the next start is let in."""
    match error:
        case InvalidSessionTimeoutError():
            return (
                f"KAFKA_SESSION_TIMEOUT_SECONDS={settings.kafka_session_timeout_seconds:g} is not what the brokers allow "
                "(their group.min.session.timeout.ms and group.max.session.timeout.ms): change one of them."
            )
        case GroupAuthorizationFailedError() | TopicAuthorizationFailedError():
            return (
                f"Kafka refuses KAFKA_SASL_USERNAME={settings.kafka_sasl_username}: grant it READ on the group "
                f"{settings.kafka_group_id} and on the topics that begin with {settings.tokens_topic} ({error})."
            )
        case _ if settings.static_id is not None:
            return (
                f"Kafka does not let {settings.static_id} into the group {settings.kafka_group_id} ({error}): see that no "
                "other live worker has the same KAFKA_GROUP_INSTANCE_ID and WORKER_INDEX."
            )
        case _:
            return f"Kafka does not let this worker into the group KAFKA_GROUP_ID={settings.kafka_group_id}: {error}."
