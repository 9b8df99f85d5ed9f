"""The application's tables, one module a noun."""

from fieldapp.models.assets import Asset, Part, VanStock
from fieldapp.models.base import Base, db
from fieldapp.models.customers import Contact, Customer, Site
from fieldapp.models.papers import Blob, BlobReference, Report
from fieldapp.models.people import Device, Organisation, Person
from fieldapp.models.work import Notice, ServiceRequest, Visit, WorkOrder

__all__ = [
    "Asset",
    "Base",
    "Blob",
    "BlobReference",
    "Contact",
    "Customer",
    "Device",
    "Notice",
    "Organisation",
    "Part",
    "Person",
    "Report",
    "ServiceRequest",
    "Site",
    "VanStock",
    "Visit",
    "WorkOrder",
    "db",
]
