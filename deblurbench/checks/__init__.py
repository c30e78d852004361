"""Checks: is a method, or a run, what it says it is?"""
