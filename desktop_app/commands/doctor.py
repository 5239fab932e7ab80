"""Print what a bug report needs to say about this computer."""

from desktop_app import paths
from desktop_app.doctor import as_values, doctor, report_text
from desktop_app.hardware.inventory import machine
from desktop_app.hardware.sensors import machine_sample

from .text import json_text, printable


def print_doctor(as_json: bool) -> int:
    """Look at everything and print it; 0 whatever was found, since the report is what was asked for."""
    sample = machine_sample()
    findings = doctor(sample, machine(sample, [paths.data_dir()]))
    print(json_text({"findings": as_values(findings)}) if as_json else printable(report_text(findings)))
    return 0
