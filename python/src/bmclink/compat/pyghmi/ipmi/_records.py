"""Inventory and events as pyghmi's dictionaries."""

from __future__ import annotations

import datetime
import time
from typing import Any, Dict, List, Optional

from ....commands import DeviceId, Fru, SelEntry, Sensor
from .sdr import health_of

# Chassis types of SMBIOS (DSP0134, 7.4.1).
_CHASSIS = dict(
    enumerate(
        (
            "Other Unknown Desktop Low-profile_desktop Pizza_box Mini-tower Tower Portable Laptop "
            "Notebook Handheld Docking_station All_in_one Sub-notebook Space-saving Lunch_box Main "
            "Expansion Sub-chassis Bus_expansion Peripheral RAID Rack_Mount Sealed-case Multi-system "
            "CompactPCI AdvancedTCA Blade Blade_enclosure Tablet Convertible Detachable IoT_gateway "
            "Embedded_PC Mini_PC Stick_PC"
        ).split(),
        1,
    )
)

_NAMES = {
    "Chassis part number": "chassis_part_number",
    "Chassis serial number": "chassis_serial_number",
    "Board manufacturer": "board_manufacturer",
    "Board product name": "board_product_name",
    "Board serial number": "board_serial_number",
    "Board model": "board_part_number",
    "Manufacturer": "product_manufacturer",
    "Product name": "product_name",
    "Model": "product_part_number",
    "Hardware Version": "product_version",
    "Serial Number": "product_serial_number",
    "Asset Number": "product_asset_tag",
}

_SYSTEM_EVENT = 2
_NO_TIME = 0xE0
_THRESHOLD = 1


def inventory_of(fru: Fru) -> Dict[str, Any]:
    """What is known of a part; what it has but leaves empty is `None`."""
    found: Dict[str, Any] = {}
    if fru.chassis_type is not None:
        kind = _CHASSIS.get(fru.chassis_type & 0x7F, "Unknown").replace("_", " ")
        found["Chassis type"] = f"{kind} Chassis"
    for name, field in _NAMES.items():
        value = getattr(fru, field)
        if value is not None:
            found[name] = value or None
    if fru.board_manufactured is not None:
        at = datetime.datetime.fromtimestamp(fru.board_manufactured, datetime.timezone.utc)
        found["Board manufacture date"] = f"{at:%Y-%m-%dT%H:%M}"
    return found


def system_of(fru: Optional[Fru], device: DeviceId, guid: Optional[bytes]) -> Dict[str, Any]:
    """The first part, and who its BMC says it is."""
    found = {} if fru is None else inventory_of(fru)
    found["firmware_version"] = device.firmware_revision
    found["Device ID"] = device.device_id
    found["Device Revision"] = device.device_revision
    found["Manufacturer ID"] = device.manufacturer_id
    found["Product ID"] = device.product_id
    if guid is not None:
        # As SMBIOS has it: the first three groups are little-endian.
        groups = (guid[3::-1], guid[5:3:-1], guid[7:5:-1], guid[8:10], guid[10:16])
        found["UUID"] = "-".join(group.hex().upper() for group in groups)
    return found


def event_of(entry: SelEntry, sensors: List[Sensor]) -> Dict[str, Any]:
    """An entry of the log."""
    event: Dict[str, Any] = {"record_id": entry.record_id, "oem_handler": None}
    if entry.record_type < _NO_TIME:
        event["timecode"] = entry.timestamp
        at = entry.corrected_time if entry.corrected_time is not None else entry.time
        if at is not None:
            event["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))
    data = entry.data
    if entry.record_type == _SYSTEM_EVENT and len(data) >= 16:
        event.update(_system_event(entry, sensors))
    elif entry.record_type < _NO_TIME:
        event.update(oemid=bytearray(data[7:10]), oemdata=bytearray(data[10:16]))
    else:
        event["oemdata"] = bytearray(data[3:16])
    return event


def _system_event(entry: SelEntry, sensors: List[Sensor]) -> Dict[str, Any]:
    data = entry.data
    owner, lun, number = data[7], data[8] & 3, data[11]
    kind, specifics = data[12] & 0x7F, data[13:16]
    event: Dict[str, Any] = {
        "component_id": f"{owner}.{number}.{lun}",
        "component": f"Sensor {owner}.{number}.{lun}",
        "component_type_id": data[10],
        # The type stands before the sensor's number in the text.
        "component_type": entry.text.split(" #", 1)[0],
        "deassertion": bool(data[12] & 0x80),
        "event_id": f"{kind}.{specifics[0] & 0x0F}",
        "event": entry.text.split(": ", 1)[-1],
        "severity": health_of(entry.severity),
    }
    # Which sensor of several with that number is told by owner and LUN, which are usually these.
    named = [sensor.name for sensor in sensors if sensor.number == number]
    if named and owner == 0x20 and lun == 0:
        event["component"] = named[0]
    if specifics[0] >> 6 == 1:
        event["triggered_value"] = specifics[1]
    elif specifics[0] >> 6 == 2:
        event["oem_byte2"] = specifics[1]
    if kind == _THRESHOLD and specifics[0] >> 4 & 3 == 1:
        event["threshold_value"] = specifics[2]
    elif specifics[0] >> 4 & 3 == 2:
        event["oem_byte3"] = specifics[2]
    return event
