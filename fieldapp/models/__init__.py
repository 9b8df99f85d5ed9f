"""The application's tables, one module a noun."""

from fieldapp.models.assets import Asset, Part, VanStock
from fieldapp.models.base import Base, db
from fieldapp.models.bundles import Bundle
from fieldapp.models.customers import Contact, Customer, Site
from fieldapp.models.mail import Mail
from fieldapp.models.papers import (
    Blob,
    BlobReference,
    Hindrance,
    Report,
    ReportFile,
    ReportSource,
)
from fieldapp.models.people import Device, Organisation, Person
from fieldapp.models.work import Notice, ServiceRequest, Visit, WorkOrder

__all__ = [
    "Asset",
    "Base",
    "Blob",
    "BlobReference",
    "Bundle",
    "Contact",
    "Customer",
    "Device",
    "Hindrance",
    "Mail",
    "Notice",
    "Organisation",
    "Part",
    "Person",
    "Report",
    "ReportFile",
    "ReportSource",
    "ServiceRequest",
    "Site",
    "VanStock",
    "Visit",
    "WorkOrder",
    "db",
]
