# -*- coding: utf-8 -*-


def isEnough(had, price):
    return price <= had
