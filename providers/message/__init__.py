"""Messages to customers: what the notices ask of it, e-mail over SMTP, and SMS and messengers over an HTTP gateway."""

from providers.message.contract import Message, MessageProvider
from providers.message.gateway import GatewayMessages
from providers.message.smtp import SmtpMessages

__all__ = ["GatewayMessages", "Message", "MessageProvider", "SmtpMessages"]
